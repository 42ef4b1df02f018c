"""A Jupyter kernel that lives in a sandbox.

Jupyter asks a kernel's provisioner to start it. Ours starts it in a sandbox, and has it talk over unix sockets, since
a kernel in a network of its own cannot be reached over TCP. JupyterLab, nbgrader and `jupyter execute` all come this
way, because the kernel's own specification (`kernelspec.py`) names this class.
"""

import os
import shutil
import tempfile
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from podpath import sandbox


class SandboxProvisioner(LocalProvisioner):  # type: ignore[misc]  # jupyter_client's classes are untyped to mypy
    """Starts the kernel in a sandbox that ends with the kernel, and with the Jupyter server."""

    _sockets: str | None = None
    _lifeline: int | None = None

    async def pre_launch(self, **kwargs: Any) -> Any:
        manager = self.parent
        if self._sockets is None:
            # Not beside the connection file: the path of a unix socket may only have 107 bytes.
            self._sockets = tempfile.mkdtemp(prefix="podpath-")
            manager.transport, manager.ip = "ipc", f"{self._sockets}/k"
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        self._cut_lifeline()
        reading, self._lifeline = os.pipe()
        kwargs["pass_fds"] = (*kwargs.get("pass_fds", ()), reading)
        try:
            # A kernel ends when its parent is another than it was told, or pid 1, as it is in the sandbox. That pid 1
            # is its parent is the one thing that it takes for "there is nothing to watch".
            cmd = ["env", "JPY_PARENT_PID=1", *cmd]
            return await super().launch_kernel(sandbox.command(cmd, reading, self._sockets or ""), **kwargs)
        finally:
            os.close(reading)

    async def cleanup(self, restart: bool = False) -> None:
        self._cut_lifeline()
        if not restart and self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
        await super().cleanup(restart=restart)

    def _cut_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

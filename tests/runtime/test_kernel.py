"""The Jupyter kernel in a sandbox: it works as any kernel does, and leaves nothing, however it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from podpath import kernelspec

SECONDS = 60  # a reply that takes longer does not come
NAMESPACES = """
import os
print(*[os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "pid")])
"""
CLUSTER = """
from podpath import Cluster
cluster = Cluster(nodes=1, pods=2).converge()
cluster.pods[0].cmd("sleep 1000 &")
print(cluster.reachability().all)
"""


Members = set[tuple[int, int]]


class Notebook:
    """A running kernel, and a client that executes cells in it."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name=kernelspec.NAME)
        self.manager.start_kernel()
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        try:
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def sockets(self) -> Path:
        """The folder with the unix sockets over which it is reached."""
        return Path(self.manager.ip).parent

    def run(self, code: str) -> str:
        """Execute a cell: what it printed, and its error if it ended in one."""
        said: list[str] = []

        def heard(message: dict[str, Any]) -> None:
            content = message["content"]
            said.append(content.get("text", "") if message["msg_type"] == "stream" else content.get("ename", ""))

        # After an error a kernel drops, for a moment, what it is asked next: the cells that "run all" had queued up.
        while (
            self.client.execute_interactive(code, timeout=SECONDS, output_hook=heard)["content"]["status"]
            == "aborted"
        ):
            pass
        return "".join(said).strip()

    def loop_until_interrupted(self) -> None:
        """Execute an endless loop, and interrupt it once it goes round."""
        request = self.client.execute("print('looping', flush=True)\nwhile True: pass")
        said = ""
        while "looping" not in said:
            said += self.client.get_iopub_msg(timeout=SECONDS)["content"].get("text", "")
        self.manager.interrupt_kernel()
        while (reply := self.client.get_shell_msg(timeout=SECONDS))["parent_header"]["msg_id"] != request:
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt"

    def namespaces(self) -> set[str]:
        """Those that the kernel is in."""
        found = set(self.run(NAMESPACES).split())
        assert len(found) == 3
        return found

    def wait_until_ready(self) -> None:
        self.client.wait_for_ready(timeout=SECONDS)

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.context.destroy(linger=0)


@contextmanager
def a_notebook() -> Iterator[Notebook]:
    notebook = Notebook()
    try:
        yield notebook
    finally:
        notebook.close()


@pytest.fixture
def is_gone(wait_until: Callable[..., Any], alive: Any) -> Callable[[Members], None]:
    def check(inside: Members) -> None:
        assert len(inside) >= 2  # the sandbox's first process, and the kernel
        wait_until(lambda: not alive(inside), "nobody is left in the kernel's namespaces")

    return check


# -- how it is registered


def test_jupyter_knows_the_kernel_and_who_starts_it() -> None:
    folder = KernelSpecManager().get_kernel_spec(kernelspec.NAME).resource_dir
    assert json.loads(Path(folder, "kernel.json").read_text()) == kernelspec.specification()


def test_installing_writes_the_specification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    kernelspec.install()
    kernelspec.install()  # again is fine
    written = tmp_path / "share/jupyter/kernels/podpath/kernel.json"
    assert json.loads(written.read_text()) == kernelspec.specification()


# -- in use


def test_cells_run_in_a_sandbox_with_a_network_of_its_own() -> None:
    with a_notebook() as notebook:
        assert notebook.run("import os; print(os.listdir('/sys/class/net'), os.geteuid())") == "['lo'] 0"
        assert notebook.run("from podpath import sandbox; print(sandbox.inside())") == "True"
        assert os.readlink("/proc/self/ns/net") not in notebook.namespaces()


def test_an_endless_loop_can_be_interrupted_and_the_kernel_goes_on() -> None:
    with a_notebook() as notebook:
        notebook.run("x = 41")
        notebook.loop_until_interrupted()
        assert notebook.run("print(x + 1)") == "42"


def test_an_interrupt_leaves_the_cluster_and_its_web_servers_up() -> None:
    with a_notebook() as notebook:
        assert notebook.run(CLUSTER) == "True"
        notebook.run("one, two = cluster.pods; cluster.serve(two)")
        notebook.loop_until_interrupted()
        assert notebook.run("print(cluster.reachability().all, one.cmd('echo here').strip())") == "True here"
        assert notebook.run("print(cluster.curl(one, f'http://{two.ip}'))") == "pod2"


def test_after_a_restart_the_kernel_is_fresh_and_the_cluster_can_be_made_again(
    is_gone: Callable[[Members], None], members: Any
) -> None:
    with a_notebook() as notebook:
        assert notebook.run(CLUSTER) == "True"
        first = members(notebook.namespaces())
        notebook.manager.restart_kernel()
        notebook.wait_until_ready()
        is_gone(first)
        assert notebook.run("cluster") == "NameError"
        assert notebook.run("import os; print(os.listdir('/run/netns'))") == "[]"
        assert notebook.run(CLUSTER) == "True"


def test_two_kernels_run_the_same_lab_side_by_side() -> None:
    with a_notebook() as one, a_notebook() as other:
        assert [one.run(CLUSTER), other.run(CLUSTER)] == ["True", "True"]
        one.run("cluster.pods[0].cmd('ip link set eth0 down')")
        assert one.run("print(cluster.reachability(deadline=0.3).all)") == "False"
        assert other.run("print(cluster.reachability().all)") == "True"
        assert not one.namespaces() & other.namespaces()


# -- how it ends


@pytest.mark.parametrize("now", [False, True], ids=["in-order", "at-once"])
def test_a_shutdown_leaves_nothing(now: bool, is_gone: Callable[[Members], None], members: Any) -> None:
    with a_notebook() as notebook:
        assert notebook.run(CLUSTER) == "True"
        inside = members(notebook.namespaces())
        sockets, connection = notebook.sockets, Path(notebook.manager.connection_file)
        assert sockets.is_dir()
        notebook.client.stop_channels()
        notebook.manager.shutdown_kernel(now=now)
        is_gone(inside)
        assert not sockets.exists()
        assert not connection.exists()


def test_a_kernel_that_is_killed_takes_everything_along(
    is_gone: Callable[[Members], None], members: Any, wait_until: Callable[..., Any]
) -> None:
    with a_notebook() as notebook:
        assert notebook.run(CLUSTER) == "True"
        inside = members(notebook.namespaces())
        notebook.client.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        wait_until(lambda: not notebook.manager.is_alive(), "Jupyter sees that the kernel has died")
        is_gone(inside)
        notebook.manager.restart_kernel()  # as Jupyter does when a kernel has died
        notebook.wait_until_ready()
        assert notebook.run(CLUSTER) == "True"


OWNER = """
import signal, sys
sys.path.insert(0, sys.argv[1])
from test_kernel import CLUSTER, NAMESPACES, Notebook
notebook = Notebook()
for said in (notebook.run(CLUSTER), notebook.run(NAMESPACES), notebook.sockets, notebook.manager.connection_file):
    print(said, flush=True)
signal.pause()
"""


@pytest.fixture
def killed_owner(members: Any) -> Iterator[tuple[Members, Path]]:
    """Who was in the sandbox of a kernel whose owner was killed, and the folder with its sockets."""
    argv = [sys.executable, "-c", OWNER, str(Path(__file__).parent)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        works, namespaces, sockets, connection = (owner.stdout.readline().strip() for _ in range(4))
        inside = members(set(namespaces.split()))
        owner.send_signal(signal.SIGKILL)
    try:
        assert works == "True"
        yield inside, Path(sockets)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        Path(connection).unlink(missing_ok=True)  # that it stays is Jupyter's own way


def test_a_kernel_whose_owner_is_killed_leaves_no_process(
    killed_owner: tuple[Members, Path], is_gone: Callable[[Members], None]
) -> None:
    is_gone(killed_owner[0])


def test_a_kernel_whose_owner_is_killed_leaves_no_sockets(
    killed_owner: tuple[Members, Path], wait_until: Callable[..., Any]
) -> None:
    wait_until(lambda: not killed_owner[1].exists(), f"{killed_owner[1]} is gone", deadline=10)

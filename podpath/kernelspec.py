"""Registers the kernel "podpath" with this Python's Jupyter: an ordinary Python kernel that lives in a sandbox.

And settles what JupyterLab would ask at the first start: no news from outside, no look for a newer version.
"""

import json
import sys
from pathlib import Path
from typing import Any

NAME = "podpath"
_QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def specification() -> dict[str, Any]:
    """The kernel specification, as `kernel.json` holds it."""
    return {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "podpath",
        "language": "python",
        "metadata": {"debugger": True, "kernel_provisioner": {"provisioner_name": "podpath-sandbox"}},
    }


def install() -> None:
    """Write both where this environment's Jupyter finds them."""
    share = Path(sys.prefix) / "share/jupyter"
    for place, content in (
        (share / "kernels" / NAME / "kernel.json", specification()),
        (share / "lab/settings/overrides.json", _QUIET),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    install()

"""Registers the kernel "podpath" with this Python's Jupyter: an ordinary Python kernel that lives in a sandbox."""

import json
import sys
from pathlib import Path
from typing import Any

NAME = "podpath"


def specification() -> dict[str, Any]:
    """The kernel specification, as `kernel.json` holds it."""
    return {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "podpath",
        "language": "python",
        "metadata": {"debugger": True, "kernel_provisioner": {"provisioner_name": "podpath-sandbox"}},
    }


def install() -> None:
    """Write the specification where this environment's Jupyter finds it."""
    folder = Path(sys.prefix) / "share/jupyter/kernels" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(specification(), indent=1))


if __name__ == "__main__":
    install()

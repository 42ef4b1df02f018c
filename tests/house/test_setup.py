"""The set-up: run again, it changes nothing; what it lacks, it says before anything starts."""

import os
import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
SETUP = TOP / "vagrant/setup.sh"


def test_run_again_it_says_and_changes_nothing() -> None:
    stamp = TOP / ".venv/.podpath-ready"
    before = stamp.stat().st_mtime_ns
    done = subprocess.run(["sh", SETUP], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert stamp.stat().st_mtime_ns == before


def test_every_requirement_is_pinned() -> None:
    files = [TOP / name for name in ("requirements.txt", "requirements-dask.txt")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    for line in lines:
        if line.strip() and not line.startswith("#"):
            assert "==" in line, line


def test_without_packages_and_without_root_it_names_the_one_command(tmp_path: Path) -> None:
    """On a PATH with nothing but what the script itself calls, and with an `id` that says: not root."""
    for tool in ("sh", "dirname", "cut", "tr", "mktemp", "rm", "apt-get"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    identity = tmp_path / "id"
    identity.write_text("#!/bin/sh\necho 1000\n")
    identity.chmod(0o755)
    done = subprocess.run(["sh", SETUP], capture_output=True, text=True, env=os.environ | {"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "Ask an administrator to run this once" in done.stderr
    assert "apt-get install --no-install-recommends mininet bubblewrap" in done.stderr

"""The virtual machine, as far as it can be judged without one; `vagrant/test` boots it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .test_style import SCRIPTS, TOP


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="there is no vagrant here")
@pytest.mark.parametrize("settings", [{}, {"PODPATH_CPUS": "4", "PODPATH_MEMORY": "4096", "PODPATH_PORT": "9000"}])
def test_vagrant_takes_the_vagrantfile(tmp_path: Path, settings: dict[str, str]) -> None:
    folders = {"VAGRANT_HOME": str(tmp_path / "home"), "VAGRANT_DOTFILE_PATH": str(tmp_path / "here")}
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=TOP,
        env=os.environ | folders | settings | {"VAGRANT_CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_whatever_the_doctor_looks_for_the_vm_installs() -> None:
    from podpath.doctor import examine

    setup = (TOP / "vagrant/setup.sh").read_text().split()
    packages = [finding.remedy.split()[-1] for finding in examine() if "apt-get install" in finding.remedy]
    assert {"mininet", "bubblewrap", "iptables", "bird2"} <= set(packages)
    assert [name for name in packages if name not in setup] == []


def test_whatever_the_vm_runs_has_the_line_ends_of_linux() -> None:
    assert "* text=auto eol=lf" in (TOP / ".gitattributes").read_text().splitlines()
    for script in SCRIPTS:
        assert b"\r" not in script.read_bytes(), script.name

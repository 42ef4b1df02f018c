"""The set-up: run again, it changes nothing; what breaks it half-way costs nothing; what it lacks, it says."""

import os
import shutil
import subprocess
from pathlib import Path

from .registry import Registry, registry

TOP = Path(__file__).parent.parent.parent
SETUP = TOP / "vagrant/setup.sh"
VENV = Path(os.environ.get("PODPATH_VENV", TOP / ".venv"))


def test_run_again_it_says_and_changes_nothing() -> None:
    before = VENV.resolve()
    done = subprocess.run(["sh", SETUP], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert VENV.resolve() == before


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


def scratch_root(folder: Path, packages: Registry) -> Path:
    """A copy of podpath that requires nothing but what the registry has."""
    for name in ("podpath", "grader", "vagrant"):
        shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("lab", "pyproject.toml"):
        shutil.copy(TOP / name, folder)
    (folder / "requirements.txt").write_text(packages.requirement + "\n")
    return folder


def set_up(root: Path, packages: Registry) -> tuple[int, str]:
    """Run the set-up there; its exit status and what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PODPATH_"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": packages.url, "PIP_NO_CACHE_DIR": "1"}
    done = subprocess.run(
        ["sh", root / "vagrant/setup.sh"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"PIP_RETRIES": "0", "PIP_TRUSTED_HOST": "127.0.0.1"},
    )
    return done.returncode, done.stdout


def works(root: Path) -> bool:
    """Whether the environment of this root runs this root's podpath, and its kernel is known to it."""
    python = root / ".venv/bin/python"
    program = "import podpath, sys; print(podpath.__file__, sys.prefix)"
    said = subprocess.run([python, "-c", program], cwd="/", capture_output=True, text=True, check=True).stdout.split()
    kernel = root / ".venv/share/jupyter/kernels/podpath/kernel.json"
    return said[0] == str(root / "podpath/__init__.py") and str((root / ".venv").resolve()) in kernel.read_text()


def test_in_a_fresh_root_it_survives_a_broken_download_and_run_twice_gives_the_same(tmp_path: Path) -> None:
    with registry() as packages:
        root = scratch_root(tmp_path, packages)
        packages.broken = True
        status, said = set_up(root, packages)
        assert (status, "pip could not install" in said) == (1, True), said
        assert not (root / ".venv").exists()

        packages.broken = False
        assert set_up(root, packages)[0] == 0
        assert works(root)
        asked, first = list(packages.asked), (root / ".venv").resolve()
        assert set_up(root, packages) == (0, "")
        assert (packages.asked, (root / ".venv").resolve()) == (asked, first)

        with (root / "requirements.txt").open("a") as file:
            file.write("# newer\n")
        packages.broken = True
        assert set_up(root, packages)[0] == 1
        assert (root / ".venv").resolve() == first
        assert works(root), "the environment that was there goes on working"

        packages.broken = False
        assert set_up(root, packages)[0] == 0
        assert (root / ".venv").resolve() != first
        assert works(root)
        assert (first / "bin/python").exists(), "for whatever still runs in it"

"""What the tools that read code say of ours."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent.parent
SCRIPTS = [path for path in (TOP / "lab", *TOP.glob("vagrant/*"), *TOP.glob(".ci/*")) if path.suffix in ("", ".sh")]
NOTEBOOKS = sorted([*TOP.glob("notebooks/*.ipynb"), *TOP.glob("exercises/*/*.ipynb")])


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=" ".join)
def test_the_code_satisfies(tool: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *tool], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_shell_script_needs_nothing_but_posix(path: Path) -> None:
    assert path.read_text().startswith("#!/bin/sh\n")
    assert path.stat().st_mode & 0o111 == 0o111
    subprocess.run(["dash", "-n", path], check=True)


def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run([Path(sys.executable).with_name("shellcheck"), *SCRIPTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs_and_names_our_kernel(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "podpath"
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), cell["source"]
        assert cell.get("execution_count") is None, cell["source"]


def test_every_module_fits_in_a_head() -> None:
    ours = [*TOP.glob("podpath/**/*.py"), *TOP.glob("grader/**/*.py"), *TOP.glob("benchmarks/**/*.py")]
    long = {path.name: lines for path in ours if (lines := len(path.read_text().splitlines())) > 320}
    assert not long


def test_podpath_does_not_know_of_the_grader_and_pure_modules_do_no_io() -> None:
    for path in TOP.glob("podpath/*.py"):
        assert "grader" not in _imports(path), path.name
    for name in ("packets", "datapath", "bench", "topology"):
        impure = _imports(TOP / f"podpath/{name}.py") & {"os", "socket", "subprocess", "threading", "time", "select"}
        assert not impure, name


def _imports(path: Path) -> set[str]:
    import ast

    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found

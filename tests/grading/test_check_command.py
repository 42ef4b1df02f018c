"""`./lab check`, as its users call it: exit status, what is on stdout, and what becomes of bad input."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grader import checks, solution
from grader.release import released

from ..labs.solutions import TESTS

LAB = checks.find("02")
REFERENCE = solution.exercise(LAB)
HUB = TESTS / "wrong/02/hub.py"


def check(lab: str, file: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command; it must never show a traceback of its own."""
    command = [sys.executable, "-m", "grader.cli", "check", lab, str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def report(file: Path, *options: str) -> dict[str, Any]:
    """The report of a submission that does not earn all points."""
    done = check("02", file, "--json", *options)
    assert done.returncode == 1, done.stdout + done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def notebook(tmp_path: Path, code: str) -> Path:
    """The released exercise with `code` in its solution cell."""
    made = released(REFERENCE)
    (cell,) = (c for c in made.cells if c.metadata.get("nbgrader", {}).get("solution"))
    cell.source = code
    path = tmp_path / "bridge.ipynb"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["02", "bridge", "02-bridge"])
def test_full_points_are_told_by_the_exit_status(name: str) -> None:
    done = check(name, REFERENCE)
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("20 of 20 points")
    assert done.stderr == ""


def test_the_json_is_one_object_and_nothing_else() -> None:
    done = check("02", HUB, "--json", "--seed", "7")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert list(told) == ["lab", "seed", "points", "max_points", "checks"]
    assert (told["lab"], told["seed"], told["max_points"]) == ("02-bridge", 7, 20)
    assert told["points"] == sum(one["points"] for one in told["checks"]) < 20
    for one in told["checks"]:
        assert list(one) == ["name", "step", "points", "max_points", "passed", "message", "transcript"]
        assert one["points"] == (one["max_points"] if one["passed"] else 0)
        assert all(isinstance(line, str) for line in one["transcript"])
        assert bool(one["message"]) != one["passed"]


def test_a_seed_repeats_a_run_to_the_letter() -> None:
    first, second, other = (check("02", HUB, "--json", "--seed", seed).stdout for seed in ("5", "5", "6"))
    assert first == second != other


def test_every_run_without_a_seed_has_another_one() -> None:
    assert report(HUB)["seed"] != report(HUB)["seed"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("99", HUB), "there is no lab '99'; the labs are "),
        (("02", "nowhere.ipynb"), "there is no file nowhere.ipynb"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(arguments: tuple[str, Path | str], said: str) -> None:
    done = check(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


BROKEN_FILES = {
    "not_json.ipynb": (b"this is no notebook", "is no Jupyter notebook (it is not JSON)"),
    "empty.ipynb": (b"", "is no Jupyter notebook (it is not JSON)"),
    "deep.ipynb": (b"[" * 100_000, "is no Jupyter notebook"),
    "no_cells.ipynb": (b'{"a": 1}', "no Jupyter notebook: it has no list of cells"),
    "list.ipynb": (b"[1, 2]", "no Jupyter notebook: it has no list of cells"),
    "odd_cells.ipynb": (
        b'{"cells": [1, null, {"cell_type": "code", "source": 5, "metadata": 3}]}',
        "there is no code in it",
    ),
    "nothing_of_theirs.ipynb": (b'{"cells": []}', "there is no code in it"),
    "empty.py": (b"", "there is no code in it"),
    "latin1.py": ("# caf\u00e9".encode("latin-1"), "is not text in UTF-8"),
    "binary.py": (bytes(range(256)), "is not text in UTF-8"),
    "zero_byte.py": (b"x = 1\0", "null bytes"),
    "no_class.py": (b"class Bridge: pass\n", "there is no class LearningBridge in your code"),
    "no_colon.py": (b"class LearningBridge\n", "expected ':'"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_file_that_is_no_submission_gets_a_report_of_zeros_that_says_why(name: str, tmp_path: Path) -> None:
    content, said = BROKEN_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    told = report(path)
    assert told["points"] == 0
    assert len(told["checks"]) == len(LAB.checks)
    assert all(said in one["message"] for one in told["checks"]), told["checks"][0]["message"]
    assert path.read_bytes() == content


BRIDGE = (TESTS / "right/02/plain_dict.py").read_text(encoding="utf-8")


def test_a_cell_that_fails_does_not_take_the_class_along(tmp_path: Path) -> None:
    path = notebook(tmp_path, BRIDGE)
    made = json.loads(path.read_text())
    extra = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    made["cells"] += [
        extra | {"source": "%matplotlib inline\n!ls\nimport this_is_nowhere"},
        extra | {"source": "this is not Python"},
    ]
    path.write_text(json.dumps(made))
    assert check("02", path).returncode == 0


def test_demonstrations_and_checks_of_ours_are_not_run(tmp_path: Path) -> None:
    assert [cell.source for cell in solution.read(notebook(tmp_path, "x = 1"), LAB)] == ["x = 1"]


def test_only_the_checks_concerned_lose_their_points(tmp_path: Path) -> None:
    raising = BRIDGE.replace("len(frame) < 14", "len(frame) < 6")
    assert raising != BRIDGE
    told = report(notebook(tmp_path, raising))
    assert [one["name"] for one in told["checks"] if not one["passed"]] == [LAB.check("too-short").name]


def test_what_it_prints_is_kept_short(tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text("class LearningBridge:\n    def __init__(self, ports):\n        print('x' * 10_000_000)\n")
    done = check("02", path, "--json")
    assert "your code printed" in done.stdout
    assert len(done.stdout) < 100_000


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "rude.py"
    path.write_text(
        "class LearningBridge:\n    def __init__(self, ports):\n        raise ValueError('\\x1b[2J\\x07')\n"
    )
    done = check("02", path)
    assert "ValueError" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout

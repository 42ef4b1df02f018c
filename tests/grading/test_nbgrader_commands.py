"""The `nbgrader` command itself: with our configuration as teachers use it, and without it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.course import make_course
from tests.grading.courses import ALL, ASSIGNMENT, NOTEBOOK, Course, nbgraders_own_warnings

pytestmark = nbgraders_own_warnings
WRONG = Path(__file__).parent.parent / "wrong" / "02"


def nbgrader(directory: Path, *arguments: str, path: str = "/usr/local/bin:/usr/bin:/bin") -> str:
    """Run the command in a course directory, as a teacher would; what it says. `path` is what users have on PATH."""
    program = Path(sys.executable).with_name("nbgrader")
    environment = {**os.environ, "PATH": path}
    done = subprocess.run([program, *arguments], cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_teacher_releases_grades_and_returns(tmp_path: Path, solved: Callable[[], dict[str, Any]]) -> None:
    make_course(tmp_path)
    nbgrader(tmp_path, "generate_assignment", ASSIGNMENT)
    course = Course(tmp_path)
    assert "BEGIN SOLUTION" not in (tmp_path / "release" / ASSIGNMENT / NOTEBOOK).read_text()
    course.submit("ann", solved())
    course.submit("bob", b"{")
    (tmp_path / "submitted" / "empty" / ASSIGNMENT).mkdir(parents=True)
    said = nbgrader(tmp_path, "autograde", ASSIGNMENT)
    assert "bridge.ipynb gets no points: bridge.ipynb is no Jupyter notebook" in said
    assert "empty/02-bridge/*.ipynb" in said
    assert course.recorded("ann") == (ALL, False)
    assert course.recorded("bob") == (dict.fromkeys(ALL, 0.0), False)
    nbgrader(tmp_path, "generate_feedback", ASSIGNMENT)
    pages = {path.parent.parent.name: path.read_text() for path in tmp_path.glob("feedback/*/*/bridge.html")}
    assert set(pages) == {"ann", "bob"}
    assert "Score: 20.0 / 20.0" in pages["ann"]
    assert "Score: 0.0 / 20.0" in pages["bob"]


def test_a_stock_nbgrader_gives_the_same_points(
    course: Course, solved: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    """It runs the notebooks in their own kernel, where `check` ends in the points."""
    make_course(tmp_path)
    (tmp_path / "nbgrader_config.py").write_text("")
    stock = Course(tmp_path)
    stock.generate()
    wrong = course.answered((WRONG / "purges_whole_table.py").read_text())
    stock.submit("ann", solved())
    stock.submit("bob", wrong)
    nbgrader(tmp_path, "autograde", ASSIGNMENT, path=os.environ["PATH"])
    assert stock.recorded("ann") == (ALL, False)
    assert stock.recorded("bob") == ({**ALL, "ageing": 0.0, "silence": 0.0, "full-table": 0.0}, False)
    assert stock.recorded("bob")[0] == course.grade("stock", wrong).scores

"""`./lab grade`: a class is graded, stopped at the worst moments, and in the end nothing is lost, double or half done."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import classroom, cli, gradebook
from grader.course import make_course
from tests.grading.courses import ALL, ASSIGNMENT, LAB, NONE, Course, nbgraders_own_warnings

pytestmark = nbgraders_own_warnings
TOP = Path(__file__).parent.parent.parent
PROGRAMS = {  # by student
    "ann": "right/02/plain_dict.py",
    "bob": "wrong/02/decrements_ttl.py",
    "cleo": "wrong/02/learns_broadcast_source.py",
    "dan": "right/02/slots.py",
}
POINTS = {"ann": 20.0, "bob": 19.0, "cleo": 19.0, "dan": 20.0, "eve": 0.0}


@pytest.fixture(scope="session")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which five have handed something in; not to be changed."""
    root = tmp_path_factory.mktemp("class")
    make_course(root)
    course = Course(root)
    course.generate()
    for student, file in PROGRAMS.items():
        course.submit(student, course.answered((TOP / "tests" / file).read_text()))
    course.submit("eve", b"{")
    return root


@pytest.fixture
def course(handed_in: Path, tmp_path: Path) -> Course:
    """A copy of it."""
    shutil.copytree(handed_in, tmp_path / "course")
    return Course(tmp_path / "course")


def lab(*arguments: str, code: int = 0) -> str:
    """./lab; what it says on stdout and stderr. It is run in here, because to import nbgrader takes seconds."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        patch.setattr(sys, "argv", ["./lab", *arguments])
        assert cli.main() == code, said.getvalue()
    return said.getvalue()


def grade(course: Course, *options: str, code: int = 0) -> str:
    """./lab grade."""
    return lab("grade", "02", "--course", str(course.root), *options, code=code)


def command(course: Course, *options: str) -> list[str]:
    """The same, as a program of its own, that can be stopped."""
    return [sys.executable, "-m", "grader.cli", "grade", "02", "--course", str(course.root), *options]


def totals(course: Course) -> dict[str, float | None]:
    """What the gradebook file has, read without nbgrader: by student, the sum; None where a part of it is missing."""
    found: dict[str, float | None] = {}
    with contextlib.closing(sqlite3.connect(course.root / "gradebook.db")) as database:
        rows = database.execute(
            "SELECT s.student_id, count(g.id), count(g.auto_score), sum(g.auto_score) FROM submitted_assignment s "
            "JOIN submitted_notebook n ON n.assignment_id = s.id JOIN grade g ON g.notebook_id = n.id "
            "GROUP BY s.student_id"
        )
        for student, cells, scored, total in rows:
            found[student] = total if cells == scored == len(ALL) else None
    return found


def reports(course: Course) -> dict[str, bytes]:
    """All that was made, by path."""
    files = [*course.root.glob(".podpath/reports/*/*"), *course.root.glob("reports/*/*/*")]
    return {str(path.relative_to(course.root)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def finished(handed_in: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same course when all has been graded and nothing happened meanwhile; not to be changed."""
    root = tmp_path_factory.mktemp("finished") / "course"
    shutil.copytree(handed_in, root)
    done = subprocess.run(command(Course(root), "--jobs", "1"), capture_output=True, text=True, cwd=TOP)
    assert done.returncode == 0, done.stderr
    assert "5 graded, 0 unchanged, 0 in need of a human's eye" in done.stdout
    assert "5 of 5" in done.stderr
    assert "Traceback" not in done.stderr
    assert totals(Course(root)) == POINTS
    return root


@pytest.fixture(scope="session")
def uninterrupted(finished: Path) -> dict[str, bytes]:
    """What came of that."""
    return reports(Course(finished))


@pytest.fixture
def graded(finished: Path, tmp_path: Path) -> Course:
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "graded")
    return Course(tmp_path / "graded")


def test_a_class_is_graded_once_and_then_left_alone(course: Course, uninterrupted: dict[str, bytes]) -> None:
    assert "5 graded, 0 unchanged" in grade(course, "--jobs", "3")
    assert reports(course) == uninterrupted
    assert course.recorded("ann") == (ALL, False)
    assert course.recorded("eve") == (NONE, False)
    before = {path: path.stat().st_mtime_ns for path in course.root.rglob("*.ipynb")}
    assert "0 graded, 5 unchanged" in grade(course)
    assert {path: path.stat().st_mtime_ns for path in course.root.rglob("*.ipynb")} == before
    assert "learns" not in course.feedback("ann")
    assert "was learned from" in course.feedback("cleo")


def test_nbgraders_own_command_reads_the_same_reports_and_agrees(
    course: Course, uninterrupted: dict[str, bytes]
) -> None:
    done = course.api.autograde(ASSIGNMENT, "*")
    assert done["success"], done
    assert totals(course) == POINTS
    cached = {name: content for name, content in uninterrupted.items() if name.startswith(".podpath")}
    assert reports(course) == cached
    assert "5 graded" in grade(course)  # recorded by nbgrader, but not noted by us
    assert reports(course) == uninterrupted


# -- stopped


def after_reports(count: int) -> Callable[[Course], bool]:
    return lambda course: len(list(course.root.glob(".podpath/reports/*/*.json"))) >= count


def while_recording(student: str) -> Callable[[Course], bool]:
    return lambda course: (course.root / "autograded" / student).exists()


def after_recording(student: str) -> Callable[[Course], bool]:
    return lambda course: (course.root / "reports" / student).exists()


def by_chance(number: int) -> Callable[[Course], bool]:
    """At any moment of those that it takes."""
    began: list[float] = []
    patience = random.Random(number).uniform(0, 12)

    def has_come(_: Course) -> bool:
        began.append(time.monotonic())
        return began[-1] - began[0] > patience

    return has_come


MOMENTS = [after_reports(1), after_reports(3), while_recording("ann"), after_recording("bob")]
MOMENTS += map(by_chance, range(int(os.environ.get("PODPATH_KILLS", "0"))))  # 30 before a release


@contextlib.contextmanager
def grading(course: Course) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(command(course), cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def test_killed_at_any_moment_it_loses_nothing_and_does_nothing_twice(
    handed_in: Path, course: Course, uninterrupted: dict[str, bytes], wait_until: Callable[..., Any]
) -> None:
    made: set[tuple[str, int, int]] = set()
    for moment in MOMENTS:
        with grading(course) as running:
            wait_until(lambda: moment(course) or running.poll() is not None, "the moment to kill it", 120)  # noqa: B023
            finished = running.poll() == 0
        assert set(totals(course).items()) <= set(POINTS.items())  # whole, or not there
        so_far = {name: content for name, content in reports(course).items() if not name.endswith(".unfinished")}
        assert so_far.items() <= uninterrupted.items()
        files = [(name, (course.root / name).stat()) for name in so_far]
        found = {(name, told.st_ino, told.st_mtime_ns) for name, told in files}
        assert found >= made  # neither made nor recorded again
        made = found
        if finished:
            assert so_far == uninterrupted
            shutil.rmtree(course.root)
            shutil.copytree(handed_in, course.root)
            made = set()
    grade(course)
    assert totals(course) == POINTS
    assert reports(course) == uninterrupted
    assert not list(course.root.rglob("*.unfinished"))


def test_ctrl_c_says_how_to_go_on_and_leaves_nothing_running(
    course: Course, wait_until: Callable[..., Any], processes: Callable[[str], dict[int, str]]
) -> None:
    running = subprocess.Popen(command(course, "--jobs", "2"), cwd=TOP, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: after_reports(1)(course), "the first report", 60)
    inside = {pid for pid, words in processes("grader.grade").items() if "sandbox_init" in words}
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopped. What was done is kept" in said
    assert "Traceback" not in said
    wait_until(lambda: not inside & set(processes("grader.grade")), "its sandboxes end with it")


def test_two_at_once_do_not_get_into_each_others_way(course: Course) -> None:
    with classroom.Classroom(course.root).alone():
        assert "another ./lab grade is at work in this course" in grade(course, code=1)


# -- the gradebook as one change


def test_a_record_that_fails_half_way_leaves_the_gradebook_as_it_was(course: Course) -> None:
    api = classroom.Classroom(course.root).api
    before = (course.root / "gradebook.db").read_bytes()
    with contextlib.suppress(ZeroDivisionError), gradebook.holding(api):
        assert api.autograde(ASSIGNMENT, "eve")["success"]
        assert gradebook.recorded_scores(api, ASSIGNMENT)["eve", "bridge"] == NONE
        assert totals(course) == {}  # nobody else sees it yet
        _ = 1 / 0
    assert (course.root / "gradebook.db").read_bytes() == before
    assert gradebook.record(api, ASSIGNMENT, "eve").success
    assert totals(course) == {"eve": 0.0}


# -- what else teachers do


def test_what_was_handed_in_anew_is_graded_anew_and_nothing_else(graded: Course) -> None:
    graded.submit("bob", graded.answered((TOP / "tests/right/02/slots.py").read_text()))
    assert "1 graded, 4 unchanged" in grade(graded)
    assert totals(graded) == {**POINTS, "bob": 20.0}


def test_a_gradebook_from_a_backup_is_filled_again_without_grading_again(handed_in: Path, graded: Course) -> None:
    made = {path: path.stat().st_ino for path in graded.root.glob(".podpath/reports/*/*.json")}
    shutil.copy(handed_in / "gradebook.db", graded.root)
    shutil.rmtree(graded.root / "autograded" / "ann")
    assert "5 graded, 0 unchanged" in grade(graded)
    assert totals(graded) == POINTS
    assert {path: path.stat().st_ino for path in graded.root.glob(".podpath/reports/*/*.json")} == made


def test_who_handed_in_something_else_is_for_a_human(course: Course) -> None:
    folder = course.root / "submitted" / "fay" / ASSIGNMENT
    folder.mkdir(parents=True)
    (folder / "Bridge (1).ipynb").write_text("{}")
    said = grade(course, "--student", "fay", "--student", "ann", "--student", "gil", code=1)
    assert "1 graded, 0 unchanged, 2 in need of a human's eye" in said
    assert "fay: there is no bridge.ipynb in" in said
    assert "there is Bridge (1).ipynb" in said
    assert "gil: nothing was handed in" in said
    assert totals(course) == {"ann": 20.0}


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda root: (root / "nbgrader_config.py").unlink(), "is no course of nbgrader"),
        (lambda root: shutil.rmtree(root / "release"), "nbgrader generate_assignment 02-bridge comes first"),
        (lambda root: shutil.rmtree(root / "submitted"), "nobody has handed in anything for 02-bridge yet"),
    ],
)
def test_what_is_missing_is_said_in_a_line(prepare: Callable[[Path], None], said: str, course: Course) -> None:
    prepare(course.root)
    heard = grade(course, code=1)
    assert said in heard
    assert len(heard.splitlines()) == 1


def test_a_report_is_explained_as_its_student_would_read_it(graded: Course) -> None:
    file = graded.root / "reports/bob/02-bridge/bridge.json"
    told = json.loads(file.read_text())
    assert told["report"]["seed"] == classroom.preprocessor.seed_for(graded.secret, "bob", LAB)
    said = lab("explain", str(file))
    assert f"lab 02-bridge, seed {told['report']['seed']}" in said
    assert "time to live" in said
    assert "19 of 20 points" in said
    file.write_text("{}")
    assert "bridge.json holds no report" in lab("explain", str(file), code=1)
    assert "cannot be read" in lab("explain", str(graded.root), code=1)

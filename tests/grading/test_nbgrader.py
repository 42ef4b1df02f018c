"""nbgrader's own commands on lab 02: who gets which points, what they are told, and who is not graded at all."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from traitlets.config import Config

from grader import grade
from grader.check import Lab, Report, Result
from grader.course import Laid, lay_out, make_course
from grader.nbgrader_config import configure
from grader.preprocessor import seed_for
from podpath.sandbox import NoSandbox
from tests.grading.courses import ALL, ASSIGNMENT, LAB, NONE, Course, Graded, cell, nbgraders_own_warnings

pytestmark = nbgraders_own_warnings
Notebook = dict[str, Any]
WRONG = Path(__file__).parent.parent / "wrong" / "02"


def test_the_reference_solution_gets_every_point(course: Course, solved: Callable[[], Notebook]) -> None:
    graded = course.grade("reference", solved())
    assert graded.success, graded.log
    assert graded.scores == ALL
    assert not graded.to_do
    assert sum(ALL.values()) == 20


def test_each_check_ends_in_the_one_output_that_decides(course: Course, solved: Callable[[], Notebook]) -> None:
    graded = course.grade("outputs", solved())
    for slug, points in ALL.items():
        told, decides = graded.outputs(slug)
        assert told["output_type"] == "display_data"
        assert set(told["data"]) == {"text/html", "text/plain"}
        assert decides["output_type"] == "execute_result"
        assert float("".join(decides["data"]["text/plain"])) == points
    others = [one for one in graded.notebook["cells"] if one["cell_type"] == "code" and _id(one) not in ALL]
    assert others
    assert not any(one["outputs"] for one in others)


def test_the_exercise_as_released_gets_no_points_and_harms_nothing(course: Course) -> None:
    graded = course.grade("starter", course.released)
    assert graded.success, graded.log
    assert graded.scores == NONE
    assert not graded.to_do
    assert "receive" in graded.said("flood-unknown")


@pytest.mark.parametrize(
    ("bridge", "slug", "says"),
    [
        ("learns_broadcast_source", "group-source", "was learned from"),
        ("decrements_ttl", "unchanged", "time to live"),
    ],
)
def test_a_wrong_bridge_loses_the_points_of_its_check_and_is_told_why(
    bridge: str, slug: str, says: str, course: Course
) -> None:
    graded = course.grade(bridge, course.answered((WRONG / f"{bridge}.py").read_text()))
    assert graded.scores == {**ALL, slug: 0.0}
    page = course.feedback(bridge)
    assert says in graded.said(slug)
    assert says in page
    assert f"seed {seed_for(course.secret, bridge, LAB)}" in page


def test_grading_again_says_the_same_again(course: Course, solved: Callable[[], Notebook]) -> None:
    first, second = (course.grade("again", solved()) for _ in range(2))
    assert first.success
    assert second.success
    assert first.notebook == second.notebook


def test_seeds_differ_between_students_and_cannot_be_foreseen_without_the_secret() -> None:
    seeds = {seed_for(secret, student, LAB) for secret in ("", "a", "b") for student in ("", "ann", "bob")}
    assert len(seeds) == 9
    assert all(1 <= seed < 1_000_000 for seed in seeds)
    assert seed_for("a", "ann", LAB) == seed_for("a", "ann", LAB)


def test_what_students_get_holds_nothing_of_the_solution(course: Course) -> None:
    solution = "".join(cell(course.source, "bridge")["source"])
    inside = solution.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
    lines = [line.strip() for line in inside.splitlines() if len(line.strip()) > 12]
    assert len(lines) > 10
    released = "\n".join("".join(one["source"]) for one in course.released["cells"])
    assert [line for line in lines if line in released] == []
    assert "raise NotImplementedError()" in released


def test_nothing_of_nbgraders_own_steps_is_lost_but_execute() -> None:
    from nbgrader.converters import Autograde

    c = Config()
    configure(c)
    for ours, stock, replaced, by in (
        (c.Autograde.sanitize_preprocessors, Autograde.sanitize_preprocessors, None, "Rebuild"),
        (c.Autograde.autograde_preprocessors, Autograde.autograde_preprocessors, "Execute", "GradeInJail"),
    ):
        names = [name.rpartition(".")[2] for name in ours]
        assert names == [by, *(step.__name__ for step in stock.default() if step.__name__ != replaced)]


def test_a_course_is_laid_out_once_with_a_secret_of_its_own_and_never_touched_again(
    course: Course, tmp_path: Path
) -> None:
    directory = tmp_path / "new" / "course"
    made = make_course(directory)
    names = {str(path.relative_to(directory)) for path in made}
    assert {"source/02-bridge/bridge.ipynb", "source/header.ipynb", "nbgrader_config.py", "gradebook.db"} <= names
    assert directory.stat().st_mode & 0o077 == 0  # the solutions are in it
    configuration = (directory / "nbgrader_config.py").read_text()
    assert "configure(c, secret=" in configuration
    assert course.secret not in configuration
    for path in made:
        path.write_text("the teacher's own")
    assert make_course(directory) == []
    assert {path.read_text() for path in made} == {"the teacher's own"}


def test_a_course_is_brought_up_to_date_where_the_teacher_has_changed_nothing(tmp_path: Path) -> None:
    """As if an older podpath had made it: what it put there differs from what is put there now."""
    make_course(tmp_path)
    exercise, header = tmp_path / "source/02-bridge/bridge.ipynb", tmp_path / "source/header.ipynb"
    register = tmp_path / ".podpath/made.json"
    ours, known = exercise.read_bytes(), json.loads(register.read_text())
    for path in (exercise, header):
        path.write_text("of an older podpath")
        known[str(path.relative_to(tmp_path))] = hashlib.sha256(path.read_bytes()).hexdigest()
    del known["source/00-packets/packets.ipynb"]
    (tmp_path / "source/00-packets/packets.ipynb").unlink()
    register.write_text(json.dumps(known))
    header.write_text("the teacher's own")
    laid = lay_out(tmp_path)
    assert laid.made == [tmp_path / "source/00-packets/packets.ipynb"]  # a lab that there was not
    assert laid.updated == [exercise]
    assert laid.kept == [header]
    assert exercise.read_bytes() == ours
    header.unlink()
    assert lay_out(tmp_path) == Laid([], [], [])  # and what was removed stays away


# -- where the teacher has to do something, nobody gets points, and nobody gets none


def test_without_a_sandbox_the_submission_stays_ungraded_and_the_teacher_reads_why(
    course: Course, solved: Callable[[], Notebook], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Report:
        raise NoSandbox("allow it with: sudo sysctl")

    monkeypatch.setattr(grade, "grade", refuse)
    graded = course.grade("unlucky", solved())
    assert not graded.success
    assert "allow it with: sudo sysctl" in graded.log
    assert "There was an error processing assignment '02-bridge' for student 'unlucky'" in graded.log
    assert graded.notebook == {}
    assert set(graded.scores.values()) == {None}
    assert graded.to_do


def test_a_notebook_under_another_name_is_not_graded_and_the_teacher_is_told(
    course: Course, solved: Callable[[], Notebook]
) -> None:
    graded = course.grade("misnamed", solved(), name="Bridge (1).ipynb")
    assert not graded.success
    assert "Skipping unknown notebook" in graded.log
    assert graded.to_do


def test_without_what_was_released_the_teacher_is_told_how_to_make_it(tmp_path: Path) -> None:
    make_course(tmp_path)
    course = Course(tmp_path)
    course.generate()
    notebook = course.released
    (tmp_path / "release" / ASSIGNMENT / "bridge.ipynb").unlink()
    graded = course.grade("early", notebook)
    assert not graded.success
    assert "nbgrader generate_assignment 02-bridge --force" in graded.log


def _id(one: Notebook) -> str | None:
    return one["metadata"].get("nbgrader", {}).get("grade_id")


def _page(*cells: Any) -> Any:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"kernelspec": spec})


def _test_cell(name: str, source: str, points: int) -> Any:
    marked = {"grade": True, "grade_id": name, "locked": True, "points": points, "solution": False, "task": False}
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": {**marked, "schema_version": 3}})


def _grade_own(course: Course, assignment: str, notebook: Any) -> Graded:
    """Make an assignment of the teacher's own, and hand it in as it is."""
    folder = course.root / "source" / assignment
    folder.mkdir()
    nbformat.write(notebook, folder / "own.ipynb")
    course.generate(assignment)
    return course.grade("ann", notebook, assignment, "own.ipynb")


def test_a_notebook_that_is_no_lab_of_ours_is_refused_with_words(course: Course) -> None:
    notebook = _page(_test_cell("sum", "assert 1 + 1 == 2", 1))
    graded = _grade_own(course, "essay", notebook)
    assert not graded.success
    assert "essay/own.ipynb is no lab of podpath" in graded.log


def test_a_test_cell_that_is_no_check_of_the_lab_is_refused_with_words(course: Course) -> None:
    notebook = _page(_test_cell("sum", "assert 1 + 1 == 2", 1))
    graded = _grade_own(course, "02", notebook)
    assert not graded.success
    assert "the cell 'sum' has points, but lab 02-bridge has no check of that name" in graded.log


def test_a_page_without_test_cells_is_not_graded_and_not_run(course: Course, tmp_path: Path) -> None:
    notebook = _page(nbformat.v4.new_code_cell(f"open({str(tmp_path / 'trace')!r}, 'w')"))
    graded = _grade_own(course, "reading", notebook)
    assert graded.success, graded.log
    assert not (tmp_path / "trace").exists()


def test_the_teacher_may_give_a_check_other_points(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(lab: Lab, cells: object, seed: int, open_jail: bool) -> Report:
        return Report(lab.full_name, seed, [Result(c.name, c.step, 1, 2, False, "half", []) for c in lab.checks])

    monkeypatch.setattr(grade, "grade", half)
    notebook = _page(_test_cell("moved", 'check("moved")', 7), _test_cell("filter", 'check("filter")', 0))
    graded = _grade_own(course, "2", notebook)
    assert graded.success, graded.log
    assert graded.scores == {"moved": 3.5, "filter": 0.0}

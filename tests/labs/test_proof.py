"""The proof of each lab: what must pass passes, what must fail fails, by the right check and for the right reason."""

from pathlib import Path

import nbformat
import pytest

from grader import grade, release, solution
from grader.check import Lab, run
from grader.checks import LABS
from grader.jail import Cell, Jail

from .solutions import Solution, solutions

SEEDS = range(1, 6)


@pytest.fixture(params=LABS, ids=lambda lab: lab.full_name)
def lab(request: pytest.FixtureRequest) -> Lab:
    chosen: Lab = request.param
    return chosen


def test_a_lab_is_worth_20_points_in_checks_of_1_to_3(lab: Lab) -> None:
    assert sum(check.points for check in lab.checks) == 20
    assert all(1 <= check.points <= 3 for check in lab.checks)


def test_the_exercise_has_a_cell_for_each_check_with_its_points(lab: Lab) -> None:
    notebook = nbformat.read(solution.exercise(lab), as_version=4)
    graded = {
        cell.metadata.nbgrader.grade_id: (cell.metadata.nbgrader.points, cell.source)
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    assert graded == {check.slug: (check.points, f'check("{check.slug}")') for check in lab.checks}


def test_the_starter_fails_every_check_and_crashes_none(lab: Lab, tmp_path: Path) -> None:
    (copied,) = (path for path in release.copy_exercises(tmp_path) if path.stem == lab.name)
    report = grade.grade(lab, solution.read(copied, lab), seed=1)
    assert report.points == 0
    for result in report.checks:
        assert "not written yet" in result.message, result


@pytest.mark.parametrize("seed", range(20))
def test_the_reference_passes_every_check(lab: Lab, seed: int, load: None) -> None:
    report = grade.grade(lab, solution.read(solution.exercise(lab), lab), seed)
    assert report.points == report.max_points, str(report)


@pytest.mark.parametrize("right", solutions("right"), ids=str)
def test_a_right_solution_passes_however_it_is_built(right: Solution) -> None:
    for seed in SEEDS:
        report = (
            grade.grade(right.lab, right.cells, seed) if seed == 1 else bench_report(right.lab, right.cells, seed)
        )
        assert report.points == report.max_points, str(report)


@pytest.mark.parametrize("wrong", solutions("wrong"), ids=str)
def test_a_wrong_solution_is_caught_by_its_check_which_names_the_mistake(wrong: Solution) -> None:
    check = wrong.lab.check(wrong.header("caught-by"))
    with Jail(wrong.cells, wrong.lab.class_name) as jail:
        for seed in SEEDS:
            result = run(wrong.lab, check, jail, seed)
            assert not result.passed, f"seed {seed}: it passes {check.slug}"
            assert wrong.header("says").lower() in result.message.lower(), str(result)
            assert len(result.message) < 1500, str(result)


def bench_report(lab: Lab, cells: list[Cell], seed: int) -> grade.Report:
    """The checks that need no network, which is all of them but those of the last step."""
    with Jail(cells, lab.class_name) as jail:
        chosen = [check for step in lab.steps[:-1] for check in step.checks]
        return grade.Report(lab.full_name, seed, [run(lab, check, jail, seed) for check in chosen])

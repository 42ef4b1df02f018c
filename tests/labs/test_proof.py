"""The proof of each lab: what must pass passes, what must fail fails, by the right check and for the right reason."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from grader import grade, release, solution
from grader.check import Lab
from grader.checks import labs
from grader.jail import Cell

from .bench import bench_checks, results
from .solutions import Solution, solutions

SEEDS = range(1, 1 + int(os.environ.get("PODPATH_SEEDS", "2")))  # 100 before a release; for what is live, one
BESIDE = 4  # gradings of a reference, side by side: with what keeps the processors busy anyway, these are in a crowd


@pytest.fixture(params=labs(), ids=lambda lab: lab.full_name)
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


@pytest.mark.parametrize("first", range(0, 20, BESIDE))
def test_the_reference_passes_every_check(lab: Lab, first: int, load: None) -> None:
    cells = solution.read(solution.exercise(lab), lab)
    with ThreadPoolExecutor(BESIDE) as threads:
        reports = threads.map(lambda seed: grade.grade(lab, cells, seed), range(first, first + BESIDE))
        for report in reports:
            assert report.points == report.max_points, str(report)


@pytest.mark.parametrize("right", solutions("right"), ids=str)
def test_a_right_solution_passes_however_it_is_built(right: Solution) -> None:
    first, *others = SEEDS
    report = grade.grade(right.lab, right.cells, first)
    assert report.points == report.max_points, str(report)
    for report in bench_reports(right.lab, right.cells, others):
        assert all(result.passed for result in report.checks), str(report)


@pytest.mark.parametrize("wrong", solutions("wrong"), ids=str)
def test_a_wrong_solution_is_caught_by_its_check_which_names_the_mistake(wrong: Solution) -> None:
    check = wrong.lab.check(wrong.header("caught-by"))
    seeds = SEEDS if check in bench_checks(wrong.lab) else SEEDS[:1]
    for seed, (result,) in zip(seeds, results(wrong.lab, wrong.cells, [check], seeds), strict=True):
        assert not result.passed, f"seed {seed}: it passes {check.slug}"
        assert wrong.header("says").lower() in result.message.lower(), str(result)
        assert len(result.message) < 1500, str(result)


def bench_reports(lab: Lab, cells: list[Cell], seeds: Sequence[int]) -> list[grade.Report]:
    """What comes of the checks that need no cluster, for each seed."""
    told = results(lab, cells, bench_checks(lab), seeds)
    return [grade.Report(lab.full_name, seed, some) for seed, some in zip(seeds, told, strict=True)]


def bench_report(lab: Lab, cells: list[Cell], seed: int) -> grade.Report:
    """The same, for one."""
    return bench_reports(lab, cells, [seed])[0]

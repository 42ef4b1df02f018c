"""What holds of lab 07 alone: its steps can be done one after another."""

import pytest

from grader import checks, solution
from grader.grade import Report

from .solutions import TESTS
from .test_proof import bench_report

LAB = checks.find("07")


@pytest.mark.parametrize(
    ("done", "wrong"),
    [(1, "takes_turns"), (2, "drops_for_nobody"), (3, "never_forgets"), (4, "no_hairpin")],
)
def test_a_step_is_full_of_points_before_the_next_is_begun(done: int, wrong: str) -> None:
    cells = solution.read(TESTS / f"wrong/07/{wrong}.py", LAB)
    report: Report = bench_report(LAB, cells, seed=1)
    titles = {step.title for step in LAB.steps[:done]}
    assert {result.step for result in report.checks if not result.passed}.isdisjoint(titles), str(report)

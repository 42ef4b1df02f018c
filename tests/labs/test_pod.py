"""What holds of lab 01 alone: its steps can be done one after another, and leave nothing in the notebook."""

import os
import re
import subprocess
import sys

import pytest

from grader import checks, solution
from grader.check import run
from grader.jail import Cell
from grader.subject import InProcess
from podpath import sandbox

from .bench import bench_checks, results
from .solutions import TESTS

LAB = checks.find("01")
REGION = re.compile(r"### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL)


def with_the_first(done: int) -> list[Cell]:
    """The reference, as somebody has it who has written so many of its methods."""
    (cell,) = solution.read(solution.exercise(LAB), LAB)
    regions = [found.group() for found in REGION.finditer(cell.source)]
    source = cell.source
    for region in regions[done:]:
        source = source.replace(region, "raise NotImplementedError()")
    return [Cell(cell.label, source)]


@pytest.mark.parametrize("done", range(1, 5))
def test_a_step_is_full_of_points_before_the_next_is_begun(done: int) -> None:
    (told,) = results(LAB, with_the_first(done), bench_checks(LAB), [1])
    passed = {step.title: all(one.passed for one in told if one.step == step.title) for step in LAB.steps}
    assert list(passed.values()) == [True] * done + [False] * (len(LAB.steps) - done), passed


CARELESS = ["container_on_host", "moves_python_along", "stop_leaves_the_name", "stop_ends_its_own_children_only"]


@pytest.mark.parametrize("name", CARELESS)
def test_what_a_check_leaves_behind_does_not_disturb_the_notebook(name: str) -> None:
    """In a notebook, the checks and the learner's pods share one sandbox with everything else."""
    code, said = sandbox.run([sys.executable, "-m", __name__, name], timeout=90)
    assert (code, said) == (0, b"as before\n")


def main(name: str) -> None:
    """Run all checks on a wrong solution in this process, and see that the world is as it was."""
    names: dict[str, object] = {}
    exec((TESTS / f"wrong/01/{name}.py").read_text(encoding="utf-8"), names)
    before = _state()
    for check in LAB.checks:
        run(LAB, check, InProcess(names, LAB.class_name), seed=1)
    after = _state()
    print("as before" if after == before else f"{before}\n{after}")


def _state() -> tuple[str, str, list[str], str]:
    """Where Python is; the host's interfaces; named namespaces; and all processes but the one that tells."""
    links, told = (
        subprocess.run(command, capture_output=True, text=True).stdout
        for command in (["ip", "-brief", "link"], ["ps", "-A", "-o", "pid,comm"])
    )
    processes = [line for line in told.splitlines() if not line.endswith(" ps")]
    return os.readlink("/proc/self/ns/net"), links, os.listdir("/run/netns"), "\n".join(processes)


if __name__ == "__main__":
    main(sys.argv[1])

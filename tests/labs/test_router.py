"""What holds of lab 03 alone: its steps can be done in turn, its clock is fair, and its routers are seen by the x-ray."""

from contextlib import ExitStack
from typing import Any

import pytest

from grader import checks, solution
from grader.check import LearnerError, run
from grader.jail import Cell, Jail
from grader.subject import InProcess
from podpath import Cluster, attach
from podpath.path import Place, expected
from podpath.routing import PORTS
from podpath.xrays import xray

from .solutions import TESTS

LAB = checks.find("03")


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_step_is_full_of_points_before_the_next_is_begun(done: int) -> None:
    cells = solution.read(TESTS / f"wrong/03/only_step_{done}.py", LAB)
    with Jail(cells, LAB.class_name) as jail:
        for check in (check for step in LAB.steps[:done] for check in step.checks):
            assert run(LAB, check, jail, seed=1).passed, check.slug


@pytest.mark.parametrize(("program", "fast"), [("right/03/trie", True), ("wrong/03/linear_scan_fast", False)])
def test_a_busy_machine_makes_no_lookup_slow_and_none_fast(program: str, fast: bool, load: None) -> None:
    cells = solution.read(TESTS / f"{program}.py", LAB)
    for seed in range(5):
        with Jail(cells, LAB.class_name) as jail:
            result = run(LAB, LAB.check("lookup-speed"), jail, seed)
        assert result.passed is fast, str(result)


def test_many_calls_at_once_answer_as_one_by_one_here_and_in_the_jail() -> None:
    program = """class Router:
    def double(self, number):
        return number * 2 if number < 1000 else 1 // 0
"""
    names: dict[str, Any] = {}
    exec(program, names)
    with Jail([Cell("a cell", program)], "Router") as jail:
        for subject in (jail, InProcess(names, "Router")):
            handle = subject.make([])
            assert handle.call_all("double", []) == []
            assert handle.call_all("double", range(600)) == [handle.call("double", n) for n in range(600)]
            with pytest.raises(LearnerError, match="ZeroDivisionError"):
                handle.call_all("double", [1, 1000, 2])
            with pytest.raises(LearnerError, match="no method doubel; it has double"):
                handle.call_all("doubel", [1])


def reference() -> Any:
    """The class of the exercise's own solution."""
    names: dict[str, Any] = {"__name__": "learner"}
    for cell in solution.read(solution.exercise(LAB), LAB):
        exec(compile(cell.source, cell.label, "exec"), names)
    return names[LAB.class_name]


@pytest.mark.sandboxed
def test_the_x_ray_follows_packets_through_a_learners_router_and_says_where_one_is_missing() -> None:
    make = reference()
    with Cluster(3, 1, {"routes": ["learner", "kernel", "learner"]}) as cluster, ExitStack() as stack:
        first, *others = [n for n in cluster.nodes if cluster.plan.hosts[n.name].routes == "learner"]
        attachment = stack.enter_context(attach(make(*cluster.router_of(first)), first, PORTS))
        for node in others:
            stack.enter_context(attach(make(*cluster.router_of(node)), node, PORTS))
        cluster.converge()
        source, _, destination = cluster.pods
        seen = xray(cluster, f"ping -c 1 -W 1 {destination.ip}", source=source)
        hosts = cluster.plan.hosts
        assert seen.died_at is None, seen
        assert seen.path == expected(cluster.plan, hosts[source.name], hosts[destination.name])
        late = xray(cluster, f"ping -c 1 -W 1 -t 1 {destination.ip}", source=source)
        assert late.died_at is not None
        assert (late.died_at.at, late.died_at.next) == (Place("node1", "cbr0", False), Place("node1", "eth0", True))
        attachment.detach()
        gone = xray(cluster, f"ping -c 1 -W 0.5 {destination.ip}", source=source)
        assert gone.died_at is not None
        assert gone.died_at.at == Place("node1", "cbr0", False)

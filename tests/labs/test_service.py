"""What holds of lab 07 alone: its steps can be done one after another, and a hairpin can be seen."""

import random
from ipaddress import IPv4Address

import pytest

from grader import checks, solution
from grader.grade import Report
from podpath import Cluster, attach, xray
from podpath.configuration import Endpoint, Service
from podpath.topology import NETWORK, POD

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


@pytest.mark.sandboxed
def test_a_pod_that_is_given_to_itself_is_seen_to_turn_round() -> None:
    with Cluster(1, 1, {"services": "learner"}) as cluster:
        (pod,) = cluster.pods
        cluster.serve(pod, 8080)
        web = Service("default/web", IPv4Address("10.96.0.10"), 80, "TCP", (Endpoint(IPv4Address(pod.ip), 8080),))
        proxy = solution.reference(LAB)["ServiceProxy"]([web], random.Random(1))
        with attach(proxy, pod, [POD, NETWORK], announce=pytest.fail):
            seen = xray(cluster, "curl -sS --max-time 2 http://10.96.0.10/", source=pod)
        assert seen.died_at is None, str(seen)
        assert list(map(str, seen.path)) == ["pod1 eth0 ->", "pod1 pod <-", "pod1 pod ->", "pod1 eth0 <-"]

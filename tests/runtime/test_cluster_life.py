"""How clusters come and go: nothing is left of one that is closed, and several get along with each other."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podpath import Cluster, cluster, sandbox
from podpath.cluster import ClusterError

sandboxed = pytest.mark.sandboxed


def namespaces() -> set[str]:
    """The named ones of this sandbox."""
    return set(os.listdir("/run/netns"))


def links() -> set[str]:
    """The interfaces outside all hosts."""
    done = subprocess.run(["ip", "-json", "link"], capture_output=True, check=True)
    return {link["ifname"] for link in json.loads(done.stdout)}


def others() -> list[str]:
    """The command lines of the processes in this sandbox that are neither its first, nor this one, nor its parent."""
    mine = {1, os.getpid(), os.getppid()}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in mine:
            try:
                found.append((entry / "cmdline").read_text().replace("\0", " ").strip() or f"zombie {entry.name}")
            except OSError:
                continue  # it has just ended
    return sorted(found)


@sandboxed
def test_after_close_no_namespace_no_process_and_no_link_is_left(wait_until: Callable[..., Any]) -> None:
    before = namespaces(), links(), others()
    assert before == (set(), {"lo"}, [])
    with Cluster(2, 2) as made:
        made.serve(made.pods[0])
        made.pods[1].cmd("sleep 1000 &")
        made.pods[1].cmd("setsid nohup sleep 1000 >/dev/null 2>&1 & disown")
        background = subprocess.Popen(["ip", "netns", "exec", "node1", "sleep", "1000"])
        wait_until(lambda: others().count("sleep 1000") == 3, "all three sleep in their hosts")
        assert len(namespaces()) == 8
    assert background.wait(30) < 0
    assert (namespaces(), links()) == before[:2]
    wait_until(lambda: others() == [], "every process in a host is gone")


@sandboxed
def test_closing_leaves_no_file_open_and_mininet_remembers_nothing() -> None:
    def use() -> int:
        with Cluster(1, 2, "learner") as made:
            made.pods[0].cmd("true")
            made.serve(made.pods[1])
        return len(os.listdir("/proc/self/fd"))

    assert use() == use()
    from mininet.node import Node

    assert not Node.inToNode
    assert not Node.outToNode
    assert Cluster.running() == []


@sandboxed
def test_closing_twice_is_fine() -> None:
    made = Cluster(1, 1)
    made.close()
    made.close()
    assert namespaces() == set()


@sandboxed
def test_a_host_of_a_closed_cluster_says_that_it_is_gone() -> None:
    made = Cluster(1, 1)
    made.pods[0].cmd("true")
    made.close()
    with pytest.raises(RuntimeError, match=r"closed|gone|no longer"):
        made.pods[0].cmd("echo hello")


@sandboxed
def test_an_error_in_the_body_closes_the_cluster_too() -> None:
    with pytest.raises(ZeroDivisionError), Cluster(1, 1):
        _ = 1 / 0
    assert namespaces() == set()


@sandboxed
def test_making_the_same_cluster_again_closes_the_old_one() -> None:
    old = Cluster(1, 3)
    new = Cluster(1, 2)
    assert Cluster.running() == [new]
    assert namespaces() == {"fabric", "internet", "node1", "pod1", "pod2"}
    old.close()  # it is closed already: the new one must not suffer
    assert new.converge().reachability().all


@sandboxed
def test_a_plan_that_cannot_be_leaves_the_old_cluster_up() -> None:
    old = Cluster(1, 2)
    with pytest.raises(ValueError, match="room for 253 pods"):
        Cluster(1, 254)
    assert old.converge().reachability().all


@sandboxed
def test_two_prefixes_stand_side_by_side_with_the_same_addresses() -> None:
    with Cluster(1, 2, prefix="a") as a, Cluster(1, 2, prefix="b") as b:
        assert Cluster.running() == [a, b]
        assert [pod.name for pod in a.pods + b.pods] == ["apod1", "apod2", "bpod1", "bpod2"]
        a.serve(a.pods[1])
        b.serve(b.pods[1])
        assert a.pods[1].ip == b.pods[1].ip
        assert a.curl(a.pods[0], f"http://{a.pods[1].ip}") == "apod2\n"
        assert b.curl(b.pods[0], f"http://{b.pods[1].ip}") == "bpod2\n"
        a.close()
        assert b.converge().reachability().all


@sandboxed
def test_two_clusters_with_pods_of_the_same_names_stand_side_by_side_too() -> None:
    with Cluster(1, ["web", "db"], prefix="a") as a, Cluster(1, ["web", "db"], prefix="b") as b:
        assert a.converge().reachability().all
        assert b.converge().reachability().all


@sandboxed
def test_a_clash_of_names_does_no_harm_to_the_cluster_that_is_up() -> None:
    with Cluster(1, ["xpod1", "web"]) as first:
        first.converge()
        with pytest.raises((ClusterError, ValueError), match="xpod1"):
            Cluster(1, 1, prefix="x")
        assert first.reachability(deadline=10).all


@sandboxed
def test_what_cannot_be_set_up_is_said_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = cluster.topology.plan(1, 1)
    plan.hosts["pod1"].ip.append("route add default via 198.51.100.1")
    monkeypatch.setattr(cluster.topology, "plan", lambda *_: plan)
    with pytest.raises(ClusterError, match=r"pod1 could not be set up: .*Nexthop has invalid gateway"):
        Cluster(1, 1)
    assert namespaces() == set()
    assert Cluster.running() == []


def test_outside_a_sandbox_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sandbox.MARK, raising=False)
    with pytest.raises(ClusterError, match=r"choose the kernel 'podpath'.*\./lab python YOUR-SCRIPT\.py"):
        Cluster(1, 1)

"""Connection tracking is the kernel's own: what it remembers, and what it is made to forget."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from podpath import Cluster, netns
from podpath.conntrack import Connection, connections, forget
from podpath.host import Host

TRACK = "nft 'add table ip t; add chain ip t in { type filter hook prerouting priority 0; }; add rule ip t in ct state new'"


@contextmanager
def two_pods() -> Iterator[list[Host]]:
    """Two pods that track connections."""
    with Cluster(1, 2) as cluster:
        for pod in cluster.pods:
            pod.cmd(TRACK)
        cluster.converge()
        yield cluster.pods


def tracked(host: Host, protocol: str) -> list[Connection]:
    return [one for one in connections(host) if one.original[0] == protocol]


@pytest.mark.sandboxed
def test_only_what_is_named_is_forgotten() -> None:
    with two_pods() as (one, other), ExitStack() as stack:
        with netns.inside(one.netns):
            asking = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for port, asker in enumerate(asking, start=40001):
            asker.bind((one.ip, port))
            asker.sendto(b"?", (other.ip, 9))
        known = {entry.original[1][1]: entry for entry in tracked(other, "UDP")}
        assert set(known) == {"40001", "40002"}
        assert forget(other, [known["40001"]]) == 1
        assert [entry.original[1][1] for entry in tracked(other, "UDP")] == ["40002"]
        assert forget(other, known.values()) == 1  # the first is gone already, and that is no error
        assert tracked(other, "UDP") == []


@pytest.mark.sandboxed
def test_a_tcp_connection_can_be_forgotten() -> None:
    with two_pods() as (one, other):
        with netns.inside(other.netns):
            listening = socket.create_server((other.ip, 80))
        with listening, netns.inside(one.netns), socket.create_connection((other.ip, 80), timeout=3):
            assert forget(other, tracked(other, "TCP")) == 1
            assert tracked(other, "TCP") == []


@pytest.mark.sandboxed
def test_what_has_no_ports_cannot_be_named() -> None:
    with Cluster(1, 1) as cluster:
        ping = Connection(("ICMP", ("10.0.0.1", "1"), ("10.0.0.2", "1")), ("ICMP", ("", ""), ("", "")), "", 30)
        with pytest.raises(ValueError, match="TCP and UDP"):
            forget(cluster.pods[0], [ping])

"""Who reaches whom: echoes with a deadline, and the matrix of their results."""

import itertools
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from podpath import Cluster, attach, packets, probe
from podpath.datapath import Frames
from podpath.probe import Echo, Reachability

Meddle = Callable[[str, bytes], Frames | None]
sandboxed = pytest.mark.sandboxed

BRIEFLY = 0.3  # seconds to wait for what must not come


class Meddler:
    """A hub that lets somebody meddle with echo requests."""

    def __init__(self, ports: list[str], meddle: Meddle) -> None:
        self.ports, self.meddle = ports, meddle

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        if "ICMP echo request" in packets.describe(frame):
            meddled = self.meddle(port, frame)
            if meddled is not None:
                return meddled
        return [(other, frame) for other in self.ports if other != port]


def lose(count: int) -> Meddle:
    """Lose the first few requests."""
    lost: list[bytes] = []

    def meddle(port: str, frame: bytes) -> Frames | None:
        lost.append(frame)
        return [] if len(lost) <= count else None

    return meddle


def answer(other: int) -> Meddle:
    """Answer each request in the name of who is asked, with an identifier that is off by `other`."""

    def meddle(port: str, frame: bytes) -> Frames | None:
        ident, sequence = struct.unpack_from("!HH", frame, 38)
        echo = packets.icmp_echo(0, ident ^ other, sequence, frame[42:])
        reply = packets.ipv4(IPv4Address(frame[30:34]), IPv4Address(frame[26:30]), packets.ICMP, echo)
        return [(port, packets.ethernet(frame[6:12], frame[:6], packets.ETH_IPV4, reply))]

    return meddle


@sandboxed
def test_an_echo_that_is_answered_is_true_and_says_how_long_it_took() -> None:
    with Cluster(1, 2) as cluster:
        echo = cluster.ping(*cluster.pods, deadline=10)
        assert echo
        assert echo.seconds is not None
        assert echo.seconds >= 0
        assert str(echo).startswith("pod1 -> pod2: answered in ")


@sandboxed
def test_an_echo_that_is_not_answered_is_false_and_was_asked_more_than_once() -> None:
    with Cluster(1, 2, "nobody") as cluster:
        echo = cluster.ping(*cluster.pods, deadline=2)
        assert not echo
        assert echo.seconds is None
        assert echo.sent > 1
        assert str(echo) == f"pod1 -> pod2: no answer to {echo.sent} echo requests"


@sandboxed
def test_an_echo_is_asked_again_until_it_is_answered() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Meddler, cluster.nodes[0], meddle=lose(3)):
        echo = cluster.ping(*cluster.pods, deadline=20)
        assert echo
        assert echo.sent >= 4


@sandboxed
@pytest.mark.parametrize(("other", "is_ours"), [(0, True), (1, False)], ids=["ours", "somebody-elses"])
def test_an_answer_to_somebody_elses_echo_is_not_taken_for_ours(other: int, is_ours: bool) -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Meddler, cluster.nodes[0], meddle=answer(other)):
        deadline = 20 if is_ours else BRIEFLY
        assert bool(cluster.ping(*cluster.pods, deadline=deadline)) == is_ours


@sandboxed
def test_a_host_reaches_itself() -> None:
    with Cluster(1, 1, "nobody") as cluster:
        assert cluster.ping(cluster.pods[0], cluster.pods[0], deadline=10)


@sandboxed
def test_no_way_at_all_is_no_answer_rather_than_an_error() -> None:
    with Cluster(1, 1) as cluster:
        assert not cluster.ping(cluster.internet, cluster.pods[0], deadline=BRIEFLY)  # it has no route there
        cluster.pods[0].cmd("ip link set eth0 down")
        assert not cluster.ping(cluster.pods[0], cluster.nodes[0], deadline=BRIEFLY)


@sandboxed
def test_results_come_in_the_order_of_the_pairs_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_PAIRS_AT_ONCE", 5)
    with Cluster(1, 4) as cluster:
        cluster.converge()
        pairs = [*itertools.permutations(cluster.pods, 2), (cluster.internet, cluster.pods[0])]
        echoes = probe.echo(pairs, deadline=2)
        assert [(echo.source, echo.destination) for echo in echoes] == [(a.name, b.name) for a, b in pairs]
        assert [bool(echo) for echo in echoes] == [True] * 12 + [False]


def test_nobody_to_ask_is_nothing_to_tell() -> None:
    assert probe.echo([], deadline=10) == []


# -- the matrix


def matrix() -> Reachability:
    return Reachability(["a", "b"], [Echo("a", "b", 0.001, 1), Echo("b", "a", None, 5)])


def test_a_matrix_names_the_pairs_that_are_missing() -> None:
    assert matrix().missing == [("b", "a")]
    assert not matrix().all
    assert not matrix()
    assert Reachability(["a", "b"], [Echo("a", "b", 0.001, 1)])


def test_a_matrix_reads_row_by_row() -> None:
    rows = [line.split() for line in str(matrix()).splitlines()]
    assert rows == [["from", "/", "to", "a", "b"], ["a", "-", "yes"], ["b", "no", "-"]]
    assert len({len(line) for line in str(matrix()).splitlines()}) == 1  # the columns stand below each other


def test_a_pair_that_was_not_asked_has_no_mark() -> None:
    assert (matrix().mark("a", "b"), matrix().mark("b", "a"), matrix().mark("a", "a")) == ("yes", "no", "")

"""Taps: frames sent and seen by hand. Each test runs in a sandbox of its own."""

import gc
import select
import time

import pytest

from podpath import Cluster, netns, packets
from podpath.tap import Seen, Tap

pytestmark = pytest.mark.sandboxed

BRIEFLY = 0.3  # seconds to wait for what must not come


def numbered(number: int, destination: bytes = packets.BROADCAST) -> bytes:
    """A frame that nobody else sends."""
    return packets.ethernet(destination, packets.mac("02:00:00:00:00:01"), 0x88B5, b"number %03d" % number)


def ours(seen: list[Seen]) -> list[Seen]:
    return [one for one in seen if b"number" in one.frame]


def test_a_frame_is_seen_as_it_was_sent_and_where_it_arrived() -> None:
    with Cluster(1, 3).converge() as cluster, Tap(cluster.pods) as tap:
        tap.send("pod1", numbered(1))
        seen = ours(tap.collect(lambda seen: len(ours(seen)) == 2, deadline=10))
        assert sorted((one.host, one.frame) for one in seen) == [("pod2", numbered(1)), ("pod3", numbered(1))]


def test_frames_are_told_in_the_order_in_which_they_arrived_over_all_hosts() -> None:
    with Cluster(1, 3).converge() as cluster, Tap(cluster.pods) as tap, Tap(cluster.pods) as witness:
        for number in range(30):
            tap.send(f"pod{number % 3 + 1}", numbered(number))
            witness.collect(lambda seen: len(ours(seen)) == 2, deadline=10)  # only then comes the next
        seen = ours(tap.collect(lambda seen: len(ours(seen)) == 60, deadline=10))
        assert [one.time for one in seen] == sorted(one.time for one in seen)
        assert [one.frame for one in seen[::2]] == [numbered(number) for number in range(30)]
        assert [one.frame for one in seen[1::2]] == [numbered(number) for number in range(30)]


def test_a_frame_is_stamped_when_it_arrives_not_when_it_is_read() -> None:
    with Cluster(1, 2).converge() as cluster:
        for number in range(60):  # each time anew: it is right after a tap was opened that this could go wrong
            with (
                Tap(cluster.pods) as tap,
                netns.inside(cluster["pod2"].netns),
                netns.packet_socket("eth0") as witness,
            ):
                tap.send("pod1", numbered(number))
                frame = b""
                while frame != numbered(number):
                    assert select.select([witness], [], [], 10)[0], "it does not arrive"
                    frame = witness.recv(2048)
                arrived_before = time.time()
                seen = ours(tap.collect(lambda seen: bool(ours(seen)), deadline=10))
                assert [one.frame for one in seen] == [numbered(number)]
                assert seen[0].time <= arrived_before, f"tap number {number}"


def test_what_a_host_itself_sends_is_not_seen() -> None:
    with Cluster(1, 2).converge() as cluster, Tap(cluster.pods) as tap:
        tap.send("pod1", numbered(1))
        tap.collect(lambda seen: bool(ours(seen)), deadline=10)  # it has arrived at the other
        tap.send("pod2", numbered(2))
        seen = ours(tap.collect(lambda seen: bool(ours(seen)), deadline=10))
        assert [(one.host, one.frame) for one in seen] == [("pod1", numbered(2))]


def test_what_came_before_the_tap_was_opened_is_not_seen() -> None:
    with Cluster(1, 2).converge() as cluster:
        with Tap(cluster.pods) as before:
            before.send("pod1", numbered(1))
            assert ours(before.collect(lambda seen: bool(ours(seen)), deadline=10))
        with Tap(cluster.pods) as tap:
            tap.send("pod1", numbered(2))
            seen = ours(tap.collect(lambda seen: bool(ours(seen)), deadline=10))
            assert [one.frame for one in seen] == [numbered(2)]


def test_when_the_deadline_has_passed_what_has_come_so_far_is_told() -> None:
    with Cluster(1, 2).converge() as cluster, Tap(cluster.pods) as tap:
        tap.send("pod1", numbered(1))
        tap.collect(lambda seen: bool(ours(seen)), deadline=10)
        tap.send("pod1", numbered(2))
        seen = ours(tap.collect(lambda seen: len(ours(seen)) == 2, deadline=BRIEFLY))
        assert [one.frame for one in seen] == [numbered(2)]


def test_another_interface_than_eth0_can_be_tapped() -> None:
    with Cluster(1, 2).converge() as cluster, Tap(cluster.pods) as pods, Tap(cluster.nodes, "topod1") as port:
        pods.send("pod1", numbered(1))
        seen = ours(port.collect(lambda seen: bool(ours(seen)), deadline=10))
        assert [(one.host, one.frame) for one in seen] == [("node1", numbered(1))]


def test_an_interface_that_is_not_there_is_an_error_and_no_socket_stays_open() -> None:
    with Cluster(1, 2).converge() as cluster, pytest.raises(OSError, match="No such device"):
        Tap([*cluster.nodes, *cluster.pods], "cbr0")  # the node has it, the pods do not
    gc.collect()  # a socket that was forgotten would be complained of now

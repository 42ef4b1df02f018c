"""Datapaths on live interfaces: real kernels talk through them. Each test runs in a sandbox of its own."""

import gc
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from podpath import Cluster, attach, packets
from podpath.datapath import Frames
from podpath.tap import Tap

pytestmark = pytest.mark.sandboxed

BRIEFLY = 0.5  # seconds to wait for what must not come, after it was shown that it would have come
ONES_OWN = 0x88B5  # an EtherType for experiments (IEEE 802), which no kernel sends by itself


class Hub:
    """Sends every frame to all other ports, and keeps what it saw."""

    def __init__(self, ports: list[str]) -> None:
        self.ports = ports
        self.seen: list[tuple[str, bytes]] = []

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self.seen.append((port, frame))
        return [(other, frame) for other in self.ports if other != port]


class Bridge:
    """A small learning bridge."""

    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports, self.ageing = ports, ageing
        self.table: dict[bytes, tuple[str, float]] = {}
        self.flooded = 0

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        destination, source = frame[:6], frame[6:12]
        self.table[source] = (port, now)
        known = self.table.get(destination)
        if known is not None and now - known[1] < self.ageing:
            return [(known[0], frame)] if known[0] != port else []
        self.flooded += 1
        return [(other, frame) for other in self.ports if other != port]


class Beacon(Hub):
    """A hub that says the time on every port at every tick."""

    ticks = 0

    def tick(self, now: float) -> Frames:
        self.ticks += 1
        beacon = packets.ethernet(packets.BROADCAST, bytes(6), ONES_OWN, b"beacon")
        return [(port, beacon) for port in self.ports]


class Slow(Hub):
    """A hub that holds each frame back for a while."""

    delay = 0.25

    def __init__(self, ports: list[str]) -> None:
        super().__init__(ports)
        self.held: list[tuple[float, str, bytes]] = []

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self.held += [(now + self.delay, other, data) for other, data in super().receive(port, frame, now)]
        return []

    def tick(self, now: float) -> Frames:
        due = [held for held in self.held if held[0] <= now]
        self.held = [held for held in self.held if held[0] > now]
        return [(port, frame) for _, port, frame in due]


def datapath_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("datapath of")]


# -- they carry what the kernels say


@pytest.mark.parametrize("datapath", [Hub, Bridge])
def test_pods_their_node_and_the_internet_are_reached_through_it(datapath: type) -> None:
    with Cluster(1, 3, "learner") as cluster:
        assert cluster.reachability(deadline=BRIEFLY).missing == list(cluster.reachability(deadline=0).echoes)
        with attach(datapath, cluster.nodes[0]):
            cluster.converge()
            assert cluster.ping(cluster.pods[0], cluster.nodes[0], deadline=10)
            assert cluster.ping(cluster.nodes[0], cluster.pods[2], deadline=10)
            assert cluster.ping(cluster.pods[1], cluster.internet, deadline=10)


def test_a_bridge_on_each_node_and_the_kernels_routes_between_them() -> None:
    with Cluster(2, 2, "learner") as cluster:
        one, two = (attach(Bridge, node) for node in cluster.nodes)
        cluster.converge()
        assert {port for port, _ in one.table.values()} == {"topod1", "topod2", "uplink"}
        assert {port for port, _ in two.table.values()} == {"topod3", "topod4", "uplink"}


def test_an_object_can_be_attached_as_well_as_a_class() -> None:
    with Cluster(1, 2, "learner") as cluster:
        hub = Hub(cluster.ports(cluster.nodes[0]))
        with attach(hub, cluster.nodes[0]) as attached:
            cluster.converge()
            assert attached.datapath is hub
            assert {port for port, _ in hub.seen} >= {"topod1", "topod2"}


def test_only_the_ports_that_are_named_are_taken() -> None:
    with Cluster(1, 3, "learner") as cluster:
        one, two, three = cluster.pods
        with attach(Hub, cluster.nodes[0], ["topod1", "topod2"]) as hub:
            assert cluster.ping(one, two, deadline=10)
            assert hub.ports == ["topod1", "topod2"]
            assert not cluster.ping(one, three, deadline=BRIEFLY)


def test_the_datapaths_own_attributes_can_be_looked_at_while_packets_cross_it() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Bridge, cluster.nodes[0], ageing=7.0) as bridge:
        cluster.converge()
        ports = {packets.mac_text(address): port for address, (port, _) in bridge.table.items()}
        assert ports["0a:58:0a:f4:01:02"] == "topod1"
        assert ports["0a:58:0a:f4:01:03"] == "topod2"
        assert bridge.ageing == 7.0
        with pytest.raises(AttributeError, match="tabel"):
            _ = bridge.tabel
        assert repr(bridge) == "<Bridge on node1: topod1, topod2, uplink; running>"


def test_the_counters_tell_what_passed_on_each_port() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Hub, cluster.nodes[0]) as hub:
        cluster.converge()
        hub.detach()
        seen = Counter(port for port, _ in hub.seen)
        assert hub.counters.received == seen
        assert hub.counters.sent == {port: seen.total() - seen[port] for port in hub.ports}
        assert not hub.counters.dropped
        line = f"topod1  {seen['topod1']:8}  {seen.total() - seen['topod1']:8}"
        assert line in str(hub.counters).splitlines()


# -- frames


def test_a_frame_arrives_at_the_datapath_as_it_was_sent(wait_until: Callable[..., Any]) -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Hub, cluster.nodes[0]) as hub, Tap(cluster.pods) as tap:
        cluster.converge()  # the first frame through a new cluster may be lost
        for length in (1, 46, 1500):
            frame = packets.ethernet(packets.BROADCAST, packets.mac("0a:58:0a:f4:01:02"), ONES_OWN, b"x" * length)
            tap.send("pod1", frame)
            wait_until(lambda sent=frame: ("topod1", sent) in hub.seen, f"{length} bytes of payload arrive")
            seen = tap.collect(lambda seen, sent=frame: any(one.frame == sent for one in seen), deadline=10)
            assert [one.host for one in seen if one.frame == frame] == ["pod2"]


def test_a_vlan_tag_stays_on_its_frame(wait_until: Callable[..., Any]) -> None:
    tagged = packets.ethernet(packets.BROADCAST, bytes(6), packets.ETH_VLAN, bytes.fromhex("006488b5") + b"tagged")
    with Cluster(1, 2, "learner") as cluster, attach(Hub, cluster.nodes[0]) as hub, Tap(cluster.pods) as tap:
        cluster.converge()
        tap.send("pod1", tagged)
        wait_until(lambda: any(b"tagged" in frame for _, frame in hub.seen), "the frame arrives")
        assert [frame for _, frame in hub.seen if b"tagged" in frame] == [tagged]


def test_frames_come_finished_no_longer_than_a_wire_carries_and_with_right_checksums() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Hub, cluster.nodes[0]) as hub:
        one, two = cluster.pods
        page = "x" * 100_000
        cluster.serve(two, text=page)
        assert cluster.curl(one, f"http://{two.ip}") == page
        hub.detach()
        segments = [frame for _, frame in hub.seen if frame[12:14] == b"\x08\x00" and frame[23] == packets.TCP]
        assert sum(len(frame) for frame in segments) > len(page)
        assert max(len(frame) for frame in segments) <= 1514
        for frame in segments:
            packet = frame[14 : 14 + int.from_bytes(frame[16:18])]
            pseudo = packet[12:20] + bytes([0, packets.TCP]) + (len(packet) - 20).to_bytes(2)
            assert packets.checksum(packet[:20]) == 0, packets.describe(frame)
            assert packets.checksum(pseudo + packet[20:]) == 0, packets.describe(frame)


def test_what_a_datapath_sends_does_not_come_back_to_it() -> None:
    with Cluster(1, 1, "learner") as cluster, attach(Beacon, cluster.nodes[0]) as beacon, Tap(cluster.pods) as tap:
        tap.collect(lambda seen: sum(b"beacon" in one.frame for one in seen) >= 3, deadline=10)
        assert not [frame for _, frame in beacon.seen if b"beacon" in frame]


# -- time


def test_timers_run_when_nothing_arrives_and_what_they_send_is_sent() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Beacon, cluster.nodes[0]) as beacon, Tap(cluster.pods) as tap:
        seen = tap.collect(lambda seen: sum(b"beacon" in one.frame for one in seen) >= 6, deadline=10)
        assert {one.host for one in seen if b"beacon" in one.frame} == {"pod1", "pod2"}
        beacon.detach()
        assert beacon.counters.sent["topod1"] == beacon.ticks


def test_an_echo_is_timed_from_the_request_that_was_answered() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Slow, cluster.nodes[0]):
        cluster.converge(deadline=20)
        echo = cluster.ping(*cluster.pods, deadline=20)
        assert echo.seconds is not None
        assert echo.seconds >= 2 * Slow.delay  # it crosses the bridge twice, and is held back each time


# -- coming and going


def test_a_datapath_that_is_detached_carries_nothing_more() -> None:
    with Cluster(1, 2, "learner") as cluster:
        with attach(Hub, cluster.nodes[0]) as hub:
            assert cluster.ping(*cluster.pods, deadline=10)
        assert not cluster.ping(*cluster.pods, deadline=BRIEFLY)
        assert datapath_threads() == []
        assert repr(hub).endswith("; detached>")
        with attach(Hub, cluster.nodes[0]):  # another one takes its place
            assert cluster.ping(*cluster.pods, deadline=10)


def test_detaching_twice_is_fine() -> None:
    with Cluster(1, 1, "learner") as cluster:
        hub = attach(Hub, cluster.nodes[0])
        hub.detach()
        hub.detach()


def test_closing_the_cluster_detaches_what_is_attached() -> None:
    cluster = Cluster(2, 1, "learner")
    attached = [attach(Hub, node) for node in cluster.nodes]
    assert len(datapath_threads()) == 2
    cluster.close()
    assert datapath_threads() == []
    assert all(repr(one).endswith("; detached>") for one in attached)


def test_a_node_of_a_cluster_that_is_closed_is_refused() -> None:
    with Cluster(1, 1, "learner") as cluster:
        node = cluster.nodes[0]
    with pytest.raises(ValueError, match="node1 belongs to no cluster that is up"):
        attach(Hub, node)


def test_a_port_that_is_not_there_is_named_and_no_socket_stays_open() -> None:
    with Cluster(1, 1, "learner") as cluster, pytest.raises((OSError, ValueError), match="topdo1"):
        attach(Hub, cluster.nodes[0], ["topod1", "topdo1"])
    gc.collect()  # a socket that was forgotten would be complained of now


@pytest.mark.sandboxed
def test_who_attaches_again_takes_the_place_of_the_first() -> None:
    with Cluster(1, 2, "learner") as cluster:
        node, (one, two) = cluster.nodes[0], cluster.pods
        first = attach(Hub, node)
        with attach(Hub, node) as second:
            assert cluster.ping(one, two)
            assert "detached" in repr(first)
            assert cluster.attached == [second]
        with pytest.raises(ValueError, match="pod1 has no ports"):
            attach(Hub, one)

"""The underlay port: the packets of the tunnel and no others, each once, and no kernel that answers them."""

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest

from podpath import Cluster, attach, netns
from podpath.datapath import UNDERLAY
from podpath.host import Host
from podpath.packets import TCP, UDP, ipv4, udp
from podpath.topology import OVERLAY_PORT
from podpath.underlay import Underlay

pytestmark = pytest.mark.sandboxed
DEADLINE = 5.0


class Collector:
    """Remembers what arrives, and sends what it is told to with the next thing that arrives."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.answer: list[tuple[str, bytes]] = []
        self._more = threading.Condition()

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        with self._more:
            self.seen.append((port, frame))
            self._more.notify_all()
        return self.answer

    def has(self, enough: Callable[[list[tuple[str, bytes]]], bool]) -> bool:
        """Wait until what has arrived is enough."""
        with self._more:
            return self._more.wait_for(lambda: enough(self.seen), DEADLINE)


@contextmanager
def collecting() -> Iterator[tuple[Cluster, Collector, Underlay, list[Host]]]:
    """A learner's overlay on two nodes: a collector on the one, and on the other a bare underlay to send by."""
    with Cluster(2, 1, {"overlay": "learner"}) as cluster:
        here, there = cluster.nodes
        with netns.inside(there.netns):
            far = Underlay(IPv4Address(there.ip))
        collector = Collector()
        try:
            with attach(collector, here, ["overlay", UNDERLAY], announce=lambda _: None):
                yield cluster, collector, far, [here, there]
        finally:
            far.close()


def packet(source: Host, destination: Host, port: int, data: bytes, protocol: int = UDP) -> bytes:
    return ipv4(IPv4Address(source.ip), IPv4Address(destination.ip), protocol, udp(50000, port, data), ident=77)


def test_only_udp_to_the_nodes_address_and_the_tunnels_port_arrives_and_once() -> None:
    with collecting() as (_, collector, far, (here, there)):
        last = packet(there, here, OVERLAY_PORT, b"last")
        fragment = packet(there, here, OVERLAY_PORT, b"later piece")
        wanted = [packet(there, here, OVERLAY_PORT, b"x" * n) for n in (1, 22, 1400)]
        others = [packet(there, here, OVERLAY_PORT + 1, b"x"), packet(there, here, OVERLAY_PORT, b"x", TCP)]
        for one in [*wanted, *others, _with_fragment(fragment, 3), last]:
            far.send(one)
        assert collector.has(lambda seen: (UNDERLAY, last) in seen)
        assert [data for port, data in collector.seen if port == UNDERLAY] == [*wanted, last]


def _with_fragment(whole: bytes, field: int) -> bytes:
    return whole[:6] + field.to_bytes(2) + whole[8:]  # the kernel makes the checksum anew


def test_the_kernel_does_not_say_that_the_port_is_unreachable() -> None:
    with collecting() as (cluster, collector, far, (here, there)):
        for n in range(20):
            far.send(packet(there, here, OVERLAY_PORT, bytes([n])))
        assert collector.has(lambda seen: len(seen) == 20)
        said = here.cmd("grep -h ^Icmp: /proc/net/snmp")
        names, values = (line.split()[1:] for line in said.strip().splitlines())
        assert dict(zip(names, values, strict=True))["OutDestUnreachs"] == "0"
        assert cluster.ping(there, here)


def test_what_is_sent_arrives_as_it_was_and_what_is_no_packet_is_counted() -> None:
    with collecting() as (_, collector, far, (here, there)):
        back = packet(here, there, OVERLAY_PORT, b"back" * 300)
        collector.answer = [(UNDERLAY, back), (UNDERLAY, b"no packet")]
        far.send(packet(there, here, OVERLAY_PORT, b"go"))
        ((fd, recv),) = far.readers
        assert select.select([fd], [], [], DEADLINE)[0]
        assert recv(4096) == back


def test_a_failure_on_a_packet_tells_of_the_packet() -> None:
    with Cluster(2, 1, {"overlay": "learner"}) as cluster:
        here, there = cluster.nodes

        class Broken:
            def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
                raise KeyError("broken")

        with netns.inside(there.netns):
            far = Underlay(IPv4Address(there.ip))
        try:
            told = threading.Event()
            with attach(Broken(), here, ["overlay", UNDERLAY], announce=lambda _: told.set()) as attached:
                far.send(packet(there, here, OVERLAY_PORT, b"go"))
                assert told.wait(DEADLINE)
                assert "on a frame from underlay: IPv4 172.16.0.2 > 172.16.0.1 UDP 50000 > 8472" in str(
                    attached.failures[0]
                )
        finally:
            far.close()


def test_a_node_with_the_kernels_device_has_no_room_for_another() -> None:
    with Cluster(2, 1, {"overlay": "kernel"}) as cluster:
        with pytest.raises(OSError, match="is taken: is there a VXLAN device"):
            attach(Collector(), cluster.nodes[0], [UNDERLAY])
        with pytest.raises(ValueError, match="node1 has no port 'overlay'"):
            attach(Collector(), cluster.nodes[0], ["overlay"])

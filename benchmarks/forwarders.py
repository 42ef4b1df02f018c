"""What may stand between two pods: podpath's live bridge, bare loops, scapy. Each gets a node and two of its ports.

None of these functions returns; `running` puts one into a process of its own and ends it.
"""

import contextlib
import multiprocessing
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from load import STATIONS

from podpath import attach, netns
from podpath.configuration import Interface, Route
from podpath.host import Host
from podpath.packets import ETH_ARP, arp, ethernet

LARGEST = 1 << 14  # bytes of a frame that are read, as in `podpath.live`

Forwarder = Callable[[Host, list[str]], None]
Way = tuple[str, Callable[[int], bytes], Callable[[bytes], int]]  # a port, how to receive there, how to send opposite


def bare_loop(node: Host, ports: list[str]) -> None:
    """The simplest loop: wait until a frame is there, take it from one socket, put it into the other.

    The sockets are those that `podpath.live` has for frames without a VLAN tag, options and all; epoll and the room
    for a frame are its own as well.
    """
    poll, ways = _opened(node, ports)
    while True:
        for fd, _ in poll.poll():
            _, recv, send = ways[fd]
            send(recv(LARGEST))


def draining_loop(node: Host, ports: list[str]) -> None:
    """The same, but taking all that is there before waiting again: one system call less for each frame."""
    poll, ways = _opened(node, ports)
    while True:
        for fd, _ in poll.poll():
            _, recv, send = ways[fd]
            with contextlib.suppress(BlockingIOError):
                while True:
                    send(recv(LARGEST))


def bridge_in_loop(bridge: Callable[..., Any]) -> Forwarder:
    """The draining loop, asking the bridge of lab 02: what `podpath.live` does, without any of its care."""

    def forward(node: Host, ports: list[str]) -> None:
        poll, ways = _opened(node, ports)
        receive = bridge(ports).receive
        sends = {out: send for (_, _, send), out in zip(ways.values(), reversed(ports), strict=True)}
        while True:
            for fd, _ in poll.poll():
                port, recv, _ = ways[fd]
                with contextlib.suppress(BlockingIOError):
                    while True:
                        for to, frame in receive(port, recv(LARGEST), time.monotonic()):
                            sends[to](frame)

    return forward


def _opened(node: Host, ports: list[str]) -> tuple[select.epoll, dict[int, Way]]:
    with netns.inside(node.netns):
        for port in ports:
            netns.switch_offloads_off(port)
        a, b = (netns.packet_socket(port, tagged=False) for port in ports)
    poll = select.epoll()
    for opened in (a, b):
        poll.register(opened, select.EPOLLIN)
    return poll, {a.fileno(): (ports[0], a.recv, b.send), b.fileno(): (ports[1], b.recv, a.send)}


def live(bridge: Callable[..., Any]) -> Forwarder:
    """The bridge of lab 02, attached as a learner attaches it."""

    def forward(node: Host, ports: list[str]) -> None:
        with attach(bridge, node, ports):
            signal.pause()

    return forward


def routing(router: Callable[..., Any]) -> Callable[[list[str]], Any]:
    """A router that knows both ends of the load, which answer no ARP and take its ports for each other."""

    def made(ports: list[str]) -> Any:
        (near_mac, near), (far_mac, far) = STATIONS
        links = [IPv4Interface("192.0.2.1/30"), IPv4Interface("192.0.2.5/30")]
        macs = [far_mac, near_mac]
        interfaces = {p: Interface(mac, link) for p, mac, link in zip(ports, macs, links, strict=True)}
        hosts = zip(ports, (near, far), strict=True)
        routes = [Route(IPv4Network(address), port) for port, address in hosts]
        one = router(interfaces, routes)
        for port, (mac, address), own, link in zip(ports, STATIONS, macs, links, strict=True):
            told = arp(2, mac, address, own, link.ip)
            one.receive(port, ethernet(own, mac, ETH_ARP, told), time.monotonic())
        return one

    return made


def scapy_bridge(node: Host, ports: list[str]) -> None:
    """`bridge_and_sniff`, scapy's own way to forward between two interfaces; it need not keep what it has seen."""
    with netns.inside(node.netns):  # scapy looks for the interfaces when it is imported
        from scapy.all import bridge_and_sniff

        bridge_and_sniff(*ports, store=False)


@contextlib.contextmanager
def running(forwarder: Forwarder, node: Host, ports: list[str], core: int) -> Iterator[None]:
    """Have a forwarder at work on one core, in a child that knows the cluster because it is a copy of us."""

    def work() -> None:
        os.sched_setaffinity(0, {core})
        forwarder(node, ports)

    child = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()

"""One TCP stream through a live VTEP in Python, beside the least that Python can do on the same path. In a sandbox.

Two nodes with a pod each: Python wraps and unwraps on the one, the kernel's VXLAN device on the other, for all alike. The
program and the stream have a core each where there are two. Rounds alternate.
"""

import multiprocessing
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Address

from comparison import Comparison, Target
from report import progress, write

from grader import checks, solution
from podpath import Cluster, attach, netns
from podpath.datapath import UNDERLAY
from podpath.host import Host
from podpath.packets import UDP, ipv4, udp
from podpath.topology import OVERLAY_PORT, OVERLAY_WIRE
from podpath.underlay import Underlay

WHAT = "one TCP stream from pod to pod of another node, through the reference Vtep of lab 04, attached live"
AGAINST = "a bare loop on the same path: epoll, recv, send, and 36 ready-made bytes put before a frame or taken off"
ROUNDS, SECONDS, WARMING = 7, 0.5, 0.3
DEADLINE = 20.0  # until a program that was started lets a first byte pass
LARGEST = 1 << 14  # bytes of a frame that are read, as in `podpath.live`

Program = Callable[[Host, Host], None]


def bare_loop(node: Host, other: Host) -> None:
    """Headers are written once, and only the length in UDP's is filled in: the kernel sees to those of IPv4."""
    ends = IPv4Address(node.ip), IPv4Address(other.ip)
    head = ipv4(*ends, UDP, udp(50000, OVERLAY_PORT, b"\x08\0\0\0\0\0\1\0"))
    before, after, length = head[:24], head[26:], struct.Struct("!H").pack
    with netns.inside(node.netns):
        netns.switch_offloads_off(OVERLAY_WIRE)
        netns.switch_offloads_off(Underlay.interface)
        overlay, underlay = netns.packet_socket(OVERLAY_WIRE, tagged=False), Underlay(ends[0])
        netns.switch_offloads_off("flannel.1")
    ((fd, packet),) = underlay.readers
    poll = select.epoll()
    for one in (overlay.fileno(), fd):
        poll.register(one, select.EPOLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready == fd:
                overlay.send(packet(LARGEST)[36:])
            else:
                frame = overlay.recv(LARGEST)
                underlay.send(before + length(16 + len(frame)) + after + frame)


def reference(node: Host, other: Host) -> None:
    """The reference solution, attached as a learner attaches it."""
    made = solution.reference(checks.find("04"))["Vtep"]
    vtep = made(1, IPv4Address(node.ip), [IPv4Address(other.ip)], udp_port=OVERLAY_PORT)
    with attach(vtep, node, [OVERLAY_WIRE, UNDERLAY]):
        signal.pause()


@contextmanager
def running(program: Program, node: Host, other: Host, core: int) -> Iterator[None]:
    """Have a program at work on one core, in a child that knows the cluster because it is a copy of us."""

    def work() -> None:
        os.sched_setaffinity(0, {core})
        program(node, other)

    child = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


def rate(source: Host, destination: Host) -> float:
    """Megabits per second of one stream, once it has found its speed."""
    with ExitStack() as stack:
        with netns.inside(destination.netns):
            listener = stack.enter_context(socket.create_server(("", 0)))
        listener.settimeout(DEADLINE)
        with netns.inside(source.netns):
            sending = stack.enter_context(socket.socket())
        sending.settimeout(DEADLINE)
        sending.connect((destination.ip, listener.getsockname()[1]))
        arriving = stack.enter_context(listener.accept()[0])
        arriving.settimeout(DEADLINE)
        sender = threading.Thread(target=_send, args=(sending,), daemon=True)
        sender.start()
        _count(arriving, WARMING)
        measured = _count(arriving, SECONDS)
        arriving.close()
        sender.join()
    return measured * 8 / 1e6


def _send(sending: socket.socket) -> None:
    data = bytes(1 << 16)
    with suppress(OSError):  # the other end has heard enough
        while True:
            sending.sendall(data)


def _count(arriving: socket.socket, seconds: float) -> float:
    began, total = time.monotonic(), 0
    room = bytearray(1 << 18)
    while (now := time.monotonic()) < began + seconds:
        total += arriving.recv_into(room)
    return total / (now - began)


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    programs: dict[str, Program] = {"reference": reference, "bare": bare_loop}
    rates: dict[str, list[float]] = {name: [] for name in programs}
    with Cluster(2, 1, {"overlay": ["learner", "kernel"]}) as cluster:
        node, other = cluster.nodes
        one, two = cluster.pods
        for host, interface in ((other, "eth0"), *cluster.peers(node, ["eth0"])):
            with netns.inside(host.netns):
                netns.switch_offloads_off(interface)
        os.sched_setaffinity(0, {cores[0]})
        if cluster.ping(one, two, 0.2):
            raise RuntimeError("a ping passes between the nodes while nobody wraps it: this measures nothing")
        order = list(programs)
        for number in range(ROUNDS):
            for name in order:
                with running(programs[name], node, other, cores[-1]):
                    if not cluster.ping(one, two, DEADLINE):
                        raise RuntimeError(f"not one ping has passed {name} in {DEADLINE:g} s")
                    rates[name].append(rate(one, two))
            order.append(order.pop(0))
            progress(f"overlay: round {number + 1} of {ROUNDS}")
    write(
        [Comparison("overlay", WHAT, AGAINST, "Mbit/s", rates["reference"], rates["bare"], Target(0.4, "at least"))]
    )


if __name__ == "__main__":
    sys.exit(main())

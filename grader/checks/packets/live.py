"""Step 7: a Linux kernel asks the learner's responder, reads the learner's datagrams, and writes some itself."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

from grader.check import Failed, Step
from grader.checks.packets.trial import PacketsTrial
from grader.checks.packets.wire import arp_frame, ethernet_frame, ipv4_packet, udp_datagram
from grader.checks.packets.words import count, shown
from grader.live import raise_failures
from podpath import netns
from podpath.cluster import Cluster
from podpath.headers import Arp, Ethernet, Ipv4, Udp
from podpath.host import Host
from podpath.live import Attachment, attach
from podpath.packets import BROADCAST, ETH_ARP, ETH_IPV4, UDP, describe, mac
from podpath.tap import Seen, Tap

DEADLINE = 3.0  # seconds until what has not come is taken for lost
_NAMES = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch"]
_PREFIX = "t-"  # the learner's own cluster may be up in the same sandbox

STEP = Step("Step 7: live", live=True)


@STEP.check(
    "live-ping",
    "a kernel's ping gets past ARP: it believes your answer, and sends to your MAC address",
    1,
    "A kernel sends to an address on its own network when, and as soon as, somebody has answered for it.",
    "RT-36",
    "RT-38",
    "RT-39",
)
def ping_gets_past_arp(t: PacketsTrial) -> None:
    with _one_pod(t) as (node, pod, port), Tap([node], port) as tap:
        wait_for_cable(tap, node, pod)
        mine, silent = (IPv4Address(f"10.244.1.{n}") for n in t.random.sample(range(100, 250), 2))
        answering = t.mac()
        with _pinging(pod, mine):
            seen = tap.collect(lambda seen: len(_asking(seen, mine)) > 0, DEADLINE)
        if not _asking(seen, mine) or _echoes(seen, mine):
            raise RuntimeError(f"without anybody to answer, the pod sent {[describe(one.frame) for one in seen]}")
        t.transcript.say(f"{pod.name} pings {mine}: it asks for its MAC address, and nobody answers")
        subprocess.run(["ip", "-n", pod.name, "neigh", "flush", "all"], check=True)
        made = t.responder([port], answering, mine)
        with (
            attach(made, node, [port], announce=lambda _: None) as attachment,
            _pinging(pod, mine),
            _pinging(pod, silent),
        ):
            seen = tap.collect(_until(attachment, lambda seen: bool(_echoes(seen, mine))), DEADLINE)
            seen += tap.collect(_until(attachment, lambda more: len(_asking(seen + more, silent)) > 0), DEADLINE)
            neighbours = {str(one): _neighbour(pod, one) for one in (mine, silent)}
        raise_failures(t.transcript, attachment)
        _judge_ping(t, pod, seen, (mine, silent), answering, neighbours)


def _judge_ping(
    t: PacketsTrial,
    pod: Host,
    seen: list[Seen],
    addresses: tuple[IPv4Address, IPv4Address],
    answering: bytes,
    neighbours: dict[str, dict[str, Any]],
) -> None:
    mine, silent = addresses
    believed = neighbours[str(mine)].get("lladdr")
    told = f"{pod.name} pings {mine}, which only your ArpResponder answers for"
    if not believed:
        t.transcript.wrong(f"{told}: the kernel's neighbour table has no MAC address for it")
        raise Failed(
            f"The kernel of {pod.name} asked for {mine} for {DEADLINE:g} s and got no answer that it believes."
        )
    if mac(believed) != answering:
        t.transcript.wrong(f"{told}: the kernel's neighbour table says {believed}")
        raise Failed(f"The kernel takes {believed} for the MAC address of {mine}; it is {shown(answering)}.")
    echoes = _echoes(seen, mine)
    if not echoes or echoes[0][:6] != answering:
        t.transcript.wrong(f"{told}: no echo request arrives at {shown(answering)}")
        raise Failed(f"The kernel knows the address, but sent no echo request to {shown(answering)}.")
    t.transcript.say(f"{told}: its neighbour table says {believed}")
    t.transcript.say(f"on the wire, an echo request for {mine} goes to {shown(echoes[0][:6])}")
    if "lladdr" in neighbours[str(silent)] or _echoes(seen, silent):
        t.transcript.wrong(f"{pod.name} pings {silent}, which nobody has: somebody answered")
        raise Failed(f"The kernel got an answer for {silent}, which is not the responder's address.")
    t.transcript.say(f"{pod.name} pings {silent}, which nobody has: no answer, and nothing is sent to it")


def _asking(seen: list[Seen], address: IPv4Address) -> list[bytes]:
    """ARP questions for an address."""
    kind = ETH_ARP.to_bytes(2, "big")
    return [one.frame for one in seen if one.frame[12:14] == kind and one.frame[38:42] == address.packed]


def _echoes(seen: list[Seen], address: IPv4Address) -> list[bytes]:
    """Echo requests to an address."""
    frames = [one.frame for one in seen if one.frame[12:14] == ETH_IPV4.to_bytes(2, "big")]
    return [f for f in frames if f[30:34] == address.packed and f[23] == 1 and f[34] == 8]


def _neighbour(pod: Host, address: IPv4Address) -> dict[str, Any]:
    """What a kernel knows of a neighbour, as `ip neigh` tells."""
    done = subprocess.run(
        ["ip", "-n", pod.name, "-json", "neigh", "show", str(address)], capture_output=True, text=True, check=True
    )
    told: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return told[0] if told else {}


@contextlib.contextmanager
def _pinging(pod: Host, address: IPv4Address) -> Iterator[None]:
    """A pod pings an address while the body runs."""
    # Ended by the signal that ping expects; and by itself, should we be gone.
    asking = subprocess.Popen(
        ["ip", "netns", "exec", pod.name, "ping", "-q", "-i", "0.2", "-w", "20", str(address)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(asking.pid, signal.SIGKILL)
        asking.wait()


@STEP.check(
    "live-kernel",
    "a kernel takes your datagrams for its own kind, and you take its",
    1,
    "What you build a kernel must accept, checksums and all, and what a kernel sends you must be able to read.",
    "RT-29",
    "PK-05",
)
def kernel_and_you(t: PacketsTrial) -> None:
    with _one_pod(t) as (node, pod, port), Tap([node], port) as tap:
        wait_for_cable(tap, node, pod)
        with netns.inside(pod.netns):
            netns.switch_offloads_off("eth0")  # the kernel is to finish its checksums itself
            listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with listening:
            here = IPv4Address(pod.ip), t.random.randrange(20000, 30000)
            listening.bind((str(here[0]), here[1]))
            listening.settimeout(DEADLINE)
            there = IPv4Address(f"10.244.1.{t.random.randrange(100, 250)}"), t.random.randrange(1024, 60000)
            station = t.mac()
            _kernel_reads(t, tap, node.name, listening, (mac(pod.MAC()), *here), (station, *there))
            _pin(pod, there[0], station)
            _kernel_writes(t, tap, listening, (mac(pod.MAC()), *here), (station, *there))


Station = tuple[bytes, IPv4Address, int]  # MAC address, IP address, port


def _kernel_reads(t: PacketsTrial, tap: Tap, node: str, listening: socket.socket, to: Station, of: Station) -> None:
    """The learner's datagrams reach a socket of the pod; one that is damaged on the way does not."""
    datagram = Udp(of[2], to[2])
    for length, options in ((12, b""), (7, b""), (0, b""), (33, b"\x01\x01\x01\x00")):
        payload = t.random.randbytes(length)
        packet = Ipv4(0, t.number(), 2, 0, 64, UDP, of[1], to[1], options)
        with t.transcript.step(f"you build a datagram of {count(length)}, {count(len(options))} of IP options"):
            segment = t.subject.call("build_udp", datagram, payload, of[1], to[1])
            whole = t.subject.call("build_ipv4", packet, segment)
            frame = t.subject.call("build_ethernet", Ethernet(to[0], of[0], ETH_IPV4), whole)
        if not isinstance(frame, bytes) or len(frame) < 42:
            raise Failed(f"build_ethernet returned {shown(frame)}, which no kernel would take for a frame.")
        tap.send(node, _damaged(frame, 34 + len(options)))
        tap.send(node, frame)
        try:
            arrived = listening.recv(2048)
        except TimeoutError:
            t.transcript.wrong("it is sent to the pod, once with one bit flipped, and once as it is")
            _compare(t, frame, (to, of), datagram, packet, payload)
            raise Failed(
                "The kernel dropped your datagram: nothing arrived at the socket it was meant for."
            ) from None
        if arrived != payload:
            t.transcript.wrong(f"the socket got {shown(arrived)}, and {shown(payload)} was sent")
            raise Failed(f"The kernel delivered {shown(arrived)}; it must be {shown(payload)}.")
        t.transcript.say("the kernel drops it with one bit flipped, and delivers it as it is")


def _damaged(frame: bytes, place: int) -> bytes:
    return frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]


def _compare(
    t: PacketsTrial, frame: bytes, ends: tuple[Station, Station], datagram: Udp, packet: Ipv4, payload: bytes
) -> None:
    (to, _, _), (of, _, _) = ends
    whole = ipv4_packet(packet, udp_datagram(datagram, payload, packet.source, packet.destination))
    right = ethernet_frame(Ethernet(to, of, ETH_IPV4), whole)
    t.transcript.note(f"yours:    {frame.hex(' ')}\nexpected: {right.hex(' ')}")


def _pin(pod: Host, address: IPv4Address, station: bytes) -> None:
    """Tell a kernel a neighbour's MAC address, so that it need not ask."""
    known = ["neigh", "replace", str(address), "lladdr", shown(station), "dev", "eth0", "nud", "permanent"]
    subprocess.run(["ip", "-n", pod.name, *known], check=True)


def _kernel_writes(t: PacketsTrial, tap: Tap, sending: socket.socket, of: Station, to: Station) -> None:
    """The learner reads what a socket of the pod sends."""
    for length, options in ((25, b""), (4, b""), (0, b"\x01\x01\x01\x00")):
        payload = t.random.randbytes(length)
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        sending.sendto(payload, (str(to[1]), to[2]))
        seen = tap.collect(lambda seen: any(_udp_to(one.frame, to) for one in seen), DEADLINE)
        frame = next((one.frame for one in seen if _udp_to(one.frame, to)), None)
        if frame is None:
            raise RuntimeError(f"the pod's datagram of {count(length)} was not seen on the wire")
        t.transcript.note(f"the kernel sends {describe(frame)}")
        packet = frame[14:]
        ident, fragment, ttl = struct.unpack_from("!HHB", packet, 4)
        header = Ipv4(packet[1], ident, fragment >> 13, 0, ttl, UDP, of[1], to[1], options)
        segment = packet[20 + len(options) :]
        t.parses(
            "parse_ethernet",
            frame,
            expected=(Ethernet(to[0], of[0], ETH_IPV4), packet),
            what="the kernel's frame",
        )
        t.parses("parse_ipv4", packet, expected=(header, segment), what="the kernel's packet")
        datagram = Udp(of[2], to[2]), payload
        t.parses("parse_udp", segment, of[1], to[1], expected=datagram, what="the kernel's datagram")


def _udp_to(frame: bytes, to: Station) -> bool:
    return frame[12:14] == ETH_IPV4.to_bytes(2, "big") and frame[23] == UDP and frame[30:34] == to[1].packed


@contextlib.contextmanager
def _one_pod(t: PacketsTrial) -> Iterator[tuple[Host, Host, str]]:
    """A pod at the end of a cable, and nothing but us at the other: node, pod, the node's port."""
    with Cluster(1, [t.random.choice(_NAMES)], "nobody", prefix=_PREFIX) as cluster:
        node, pod = cluster.nodes[0], cluster.pods[0]
        yield node, pod, cluster.ports(node)[0]


def wait_for_cable(tap: Tap, node: Host, pod: Host) -> None:
    """Wait until frames pass both ways between a node's port and a pod: those sent before the kernel has noticed that a
    new cable is up are lost."""
    asker, until = b"\x0a\x58\xff\xff\xff\xff", time.monotonic() + DEADLINE
    asked = Arp(1, asker, IPv4Address("10.244.1.253"), bytes(6), IPv4Address(pod.ip))
    while time.monotonic() < until:
        tap.send(node.name, arp_frame(BROADCAST, asked))
        answers = tap.collect(lambda seen: any(one.frame[:6] == asker for one in seen), 0.1)
        if any(one.frame[:6] == asker for one in answers):
            return
    raise RuntimeError(f"frames from {node.name} do not reach {pod.name}: this sandbox is not what it should be")


def _until(attachment: Attachment, condition: Callable[[list[Seen]], bool]) -> Callable[[list[Seen]], bool]:
    """There is nothing to wait for once the learner's code has failed."""
    return lambda seen: bool(attachment.failures) or condition(seen)

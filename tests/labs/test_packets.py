"""What holds of lab 00 alone: its own constructions are scapy's and the kernel's; its steps can be done one by one."""

import dataclasses
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from grader import checks, grade, solution
from grader.check import run
from grader.checks.packets import live, wire
from grader.checks.packets.trial import PacketsTrial
from grader.jail import Cell, Jail
from grader.subject import InProcess
from podpath import Cluster, Tap, netns, packets
from podpath.headers import Arp, Ethernet, Ipv4, Udp

LAB = checks.find("00")
SEEDS = pytest.mark.parametrize("seed", range(10))
REFERENCE = solution.read(solution.exercise(LAB), LAB)


def trial(seed: int) -> PacketsTrial:
    return PacketsTrial(InProcess({}, LAB.class_name), random.Random(seed))


# -- our own constructions, held against scapy's


@SEEDS
def test_an_arp_frame_is_as_scapy_writes_it(seed: int) -> None:
    t = trial(seed)
    header = t.arp(t.random.choice((1, 2)))
    ends = {
        "hwsrc": header.sha.hex(":"),
        "psrc": str(header.spa),
        "hwdst": header.tha.hex(":"),
        "pdst": str(header.tpa),
    }
    theirs = Ether(dst="ff:ff:ff:ff:ff:ff", src=header.sha.hex(":")) / ARP(op=header.operation, **ends)
    assert wire.arp_frame(packets.BROADCAST, header) == bytes(theirs)


@SEEDS
@pytest.mark.parametrize("options", [0, 4, 16, 40])
def test_an_ipv4_packet_is_as_scapy_writes_it(seed: int, options: int) -> None:
    t = trial(seed)
    header, payload = t.ipv4(options=options), t.payload()
    theirs = IP(
        tos=header.tos,
        id=header.identification,
        flags=header.flags,
        frag=header.fragment_offset,
        ttl=header.ttl,
        proto=header.protocol,
        src=str(header.source),
        dst=str(header.destination),
        options=header.options,
    )
    assert wire.ipv4_packet(header, payload) == bytes(theirs / Raw(payload))


@SEEDS
@pytest.mark.parametrize("length", [0, 1, 30, 31])
def test_a_udp_datagram_is_as_scapy_writes_it(seed: int, length: int) -> None:
    t = trial(seed)
    header, payload, ends = t.udp(), t.random.randbytes(length), (t.address(), t.address())
    theirs = IP(src=str(ends[0]), dst=str(ends[1])) / UDP(sport=header.source_port, dport=header.destination_port)
    assert wire.udp_datagram(header, payload, *ends) == bytes(theirs / Raw(payload))[20:]


def test_the_vectors_of_the_conformance_cases_are_what_we_construct() -> None:
    """RT-21, RT-30, NAT-03 and NAT-05, and the ARP packets of appendix A."""
    a, b = IPv4Address("10.1.0.10"), IPv4Address("10.2.0.20")
    ip = wire.ipv4_packet(Ipv4(0, 0x1234, 0, 0, 64, 17, a, b), bytes.fromhex("9c401f90000dec10") + b"hello")
    ethernet = Ethernet(packets.mac("02:00:00:00:01:01"), packets.mac("02:00:00:00:00:0a"), packets.ETH_IPV4)
    literal = "020000000101 02000000000a 0800 4500002112340000401154780a01000a0a020014 9c401f90000dec10"
    assert wire.ethernet_frame(ethernet, ip) == bytes.fromhex(literal) + b"hello"

    same = IPv4Address("1.2.3.4")
    udp = wire.udp_datagram(Udp(0x6F, 0xDE), b"foobar", same, same)
    assert udp[6:8].hex() == "bf35"
    assert wire.ipv4_packet(Ipv4(0, 0, 0, 0, 64, 17, same, same), udp)[10:12].hex() == "72c0"

    source, destination = IPv4Address("10.244.1.5"), IPv4Address("203.0.113.9")
    assert (
        wire.udp_datagram(Udp(50000, 53), b"query", source, destination).hex() == "c3500035000da463" + b"query".hex()
    )
    translated = wire.udp_datagram(Udp(50000, 53), bytes.fromhex("3e49"), IPv4Address("192.0.2.1"), destination)
    assert translated.hex() == "c3500035000affff3e49"

    asker, target = packets.mac("02:00:00:00:00:0a"), IPv4Address("10.1.0.1")
    asked = wire.arp_frame(packets.BROADCAST, Arp(1, asker, a, bytes(6), target))
    assert asked.hex() == "ffffffffffff02000000000a0806000108000604000102000000000a0a01000a0000000000000a010001"
    answer = wire.arp_packet(Arp(2, packets.mac("02:00:00:00:01:01"), target, asker, a))
    assert answer.hex() == "00010800060400020200000001010a01000102000000000a0a01000a"


# -- and against the kernel's


@contextmanager
def one_pod() -> Iterator[Cluster]:
    """A pod whose cable carries frames."""
    with Cluster(1, 1, "nobody") as cluster:
        with Tap(cluster.nodes, "topod1") as tap:
            live.wait_for_cable(tap, cluster.nodes[0], cluster.pods[0])
        yield cluster


def ask(tap: Tap, question: bytes, answers: bool, after: bytes) -> list[bytes]:
    """What a kernel answers, if it `answers`; `after` is a question that it answers in any case.

    So we need not wait for nothing. Two frames that were sent one right after the other may change places on their way,
    when the sender is moved to another processor in between: an answer is waited for before `after` is sent.
    """
    tap.send("node1", question)
    seen = tap.collect(bool, deadline=10) if answers else []
    tap.send("node1", after)
    seen += tap.collect(lambda seen: any(one.frame[:6] == after[6:12] for one in seen), deadline=10)
    *others, last = (one.frame for one in seen)
    assert last[:6] == after[6:12]
    return others


@pytest.mark.sandboxed
def test_a_kernel_answers_what_the_responder_has_to_answer_and_nothing_else() -> None:
    t = trial(1)
    with one_pod() as cluster, Tap(cluster.nodes, "topod1") as tap:
        mac, address = packets.mac(cluster.pods[0].MAC()), IPv4Address(cluster.pods[0].ip)
        sure = Arp(1, t.mac(), IPv4Address("10.244.1.66"), bytes(6), address)
        after = wire.arp_frame(packets.BROADCAST, sure)
        ask(tap, after, True, from_another(after, t.mac()))
        one = Arp(1, t.mac(), IPv4Address("10.244.1.77"), bytes(6), address)
        right = wire.arp_frame(one.sha, Arp(2, mac, address, one.sha, one.spa))
        free = dataclasses.replace(one, spa=IPv4Address("0.0.0.0"))
        for question, answer in (
            (wire.arp_frame(packets.BROADCAST, one), [right]),
            (wire.arp_frame(mac, one), [right]),
            (wire.arp_frame(packets.BROADCAST, one) + t.random.randbytes(18), [right]),
            (wire.arp_frame(packets.BROADCAST, one, source=t.mac()), [right]),
            (
                wire.arp_frame(packets.BROADCAST, free),
                [wire.arp_frame(one.sha, Arp(2, mac, address, one.sha, free.spa))],
            ),
            (wire.arp_frame(t.mac(), one), []),
            (wire.arp_frame(packets.BROADCAST, dataclasses.replace(one, tpa=IPv4Address("10.244.1.99"))), []),
            (wire.arp_frame(packets.BROADCAST, dataclasses.replace(one, tpa=one.spa)), []),
            *((wire.arp_frame(mac, dataclasses.replace(one, operation=n)), []) for n in (0, 2, 3, 8, 256)),
            *((wire.arp_frame(packets.BROADCAST, one)[:n], []) for n in (14, 20, 34, 41)),
            (wire.arp_frame(packets.BROADCAST, one)[:18] + b"\x08" + wire.arp_frame(packets.BROADCAST, one)[19:], []),
            (wire.arp_frame(packets.BROADCAST, one)[:14] + b"\0\7" + wire.arp_packet(one)[2:], []),
            (packets.ethernet(packets.BROADCAST, one.sha, 0x88B5, wire.arp_packet(one)), []),
        ):
            assert ask(tap, question, bool(answer), after) == answer, packets.hexdump(question)


@pytest.mark.sandboxed
def test_a_kernel_takes_what_the_parsers_have_to_take_and_refuses_what_they_have_to_refuse() -> None:
    t = trial(2)
    with one_pod() as cluster, Tap(cluster.nodes, "topod1") as tap:
        pod = cluster.pods[0]
        with netns.inside(pod.netns):
            listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with listening:
            ends = IPv4Address("10.244.1.66"), IPv4Address(pod.ip)
            listening.bind((pod.ip, 9000))
            listening.settimeout(10)
            ethernet = Ethernet(packets.mac(pod.MAC()), t.mac(), packets.ETH_IPV4)
            header, ports = Ipv4(0, 1, 2, 0, 64, packets.UDP, *ends), Udp(4000, 9000)
            options = dataclasses.replace(header, options=b"\x01\x01\x01\x00")
            good = wire.udp_datagram(ports, b"good", *ends)
            unsummed = wire.udp_datagram(ports, b"none", *ends, check=0)
            surplus = wire.udp_datagram(ports, b"behind it", *ends) + b"xyz"
            without = wire.pseudo_header(*ends, 10) + struct.pack("!HHH", 4000, 9000, 10)
            zero = wire.udp_datagram(ports, struct.pack("!H", packets.checksum(without)), *ends)
            assert zero[6:8] == b"\xff\xff"
            arriving = [
                (wire.ipv4_packet(header, good), b"good"),
                (wire.ipv4_packet(header, good) + bytes(20), b"good"),
                (wire.ipv4_packet(options, good), b"good"),
                (wire.ipv4_packet(header, unsummed), b"none"),
                (wire.ipv4_packet(header, zero), zero[8:]),
                (wire.ipv4_packet(header, surplus), b"behind it"),
                (wire.ipv4_packet(header, wire.udp_datagram(ports, b"bad", *ends, check=1)), None),
                (wire.ipv4_packet(header, wire.udp_datagram(ports, b"bad", ends[0], t.address())), None),
                (wire.ipv4_packet(header, wire.udp_datagram(ports, b"bad", *ends, length=7)), None),
                (wire.ipv4_packet(header, wire.udp_datagram(ports, b"bad", *ends, length=12)), None),
                (wire.ipv4_packet(header, wire.udp_datagram(ports, b"bad", *ends, length=12, check=0)), None),
                (wire.ipv4_packet(header, good, version=5), None),
                (wire.ipv4_packet(header, good, ihl=4), None),
                (wire.ipv4_packet(header, good, ihl=15), None),
                (wire.ipv4_packet(header, good, total=19), None),
                (wire.ipv4_packet(header, good, total=33), None),
                (wire.ipv4_packet(header, good, check=1), None),
            ]
            for number, (packet, payload) in enumerate(arriving):
                tap.send("node1", wire.ethernet_frame(ethernet, packet))
                got = [] if payload is None else [listening.recv(2048)]
                last = wire.udp_datagram(ports, b"last", *ends)
                tap.send("node1", wire.ethernet_frame(ethernet, wire.ipv4_packet(header, last)))
                while b"last" not in got:
                    got.append(listening.recv(2048))
                assert got == ([b"last"] if payload is None else [payload, b"last"]), f"packet {number}"


def from_another(frame: bytes, source: bytes) -> bytes:
    """The same question from another station."""
    return frame[:6] + source + frame[12:22] + source + frame[28:]


# -- the steps


@pytest.mark.parametrize("done", range(1, 7))
def test_a_step_is_full_of_points_before_the_next_is_begun(done: int) -> None:
    """With the first solution cells only: the checks of their steps need none of the later ones."""
    with Jail(REFERENCE[:done], LAB.class_name) as jail:
        for step in LAB.steps[:done]:
            for check in step.checks:
                result = run(LAB, check, jail, seed=done)
                assert result.passed, str(result)


BROKEN = {
    "answers for others": (
        "live-ping",
        "got an answer for",
        ("question.tpa != self.address", "False"),
        ("self.address, ", "question.tpa, "),
    ),
    "answers answers": ("live-ping", "no answer that it believes", ("operation != 1", "operation != 2")),
    "wrong MAC address": ("live-ping", "The kernel takes", ("Arp(2, self.mac", "Arp(2, self.mac[::-1]")),
    "wrong checksum": ("live-kernel", "The kernel dropped your datagram", ("check or 0xFFFF", "check ^ 1")),
    "wrong payload": ("live-kernel", "The payload is", ("packet[size:total]", "packet[size - 1:total]")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_live_check_catches_what_a_kernel_would(name: str) -> None:
    """The checks before them find all of these, too: here the last ones have to do without."""
    caught, says, *edits = BROKEN[name]
    text = "\n\n".join(cell.source for cell in REFERENCE)
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    report = grade.grade(LAB, [Cell("broken.py", text, whole=True)], seed=1)
    result = next(one for one in report.checks if one.name == LAB.check(caught).name)
    assert not result.passed
    assert says in result.message, str(result)

"""A frame in named parts, and what tells two frames apart: what a failed check says of bytes. Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath.packets import ETH_IPV4, ETHERNET_HEADER, ICMP, TCP, UDP

NAMES = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP"}
_ERRORS = (3, 4, 11, 12)


@dataclass(frozen=True)
class Part:
    """Some bytes of a frame, and what they say."""

    name: str
    start: int
    end: int
    text: str


def parts(frame: bytes) -> list[Part]:
    """All of a frame, in order. What is not understood is "payload"."""
    found = list(_ethernet(frame))
    end = found[-1].end if found else 0
    return [*found, Part("payload", end, len(frame), f"{len(frame) - end} bytes")]


def differing(wanted: bytes, got: bytes) -> list[tuple[Part, Part]]:
    """The parts that are not as wanted, each with what came instead; of unequal frames, those that both have."""
    pairs = zip(parts(wanted), parts(got), strict=False)
    return [(a, b) for a, b in pairs if a.name == b.name and wanted[a.start : a.end] != got[b.start : b.end]]


def _ethernet(frame: bytes) -> Iterator[Part]:
    if len(frame) < ETHERNET_HEADER:
        return
    yield Part("destination MAC", 0, 6, frame[:6].hex(":"))
    yield Part("source MAC", 6, 12, frame[6:12].hex(":"))
    yield Part("EtherType", 12, 14, f"0x{frame[12:14].hex()}")
    if frame[12:14] == ETH_IPV4.to_bytes(2, "big"):
        yield from _ipv4(frame, ETHERNET_HEADER, "")


def _ipv4(frame: bytes, at: int, where: str) -> Iterator[Part]:
    size = (frame[at] & 15) * 4 if len(frame) > at else 0
    if len(frame) < at + 20 or not 20 <= size <= len(frame) - at:
        return
    for name, start, length in (
        ("version and header length", 0, 1),
        ("type of service", 1, 1),
        ("total length", 2, 2),
        ("identification", 4, 2),
        ("flags and fragment offset", 6, 2),
        ("TTL", 8, 1),
        ("protocol", 9, 1),
    ):
        yield _number(frame, f"{where}IPv4 {name}", at + start, length)
    yield _checksum(frame, f"{where}IPv4 header checksum", at + 10)
    for name, start in (("source", 12), ("destination", 16)):
        text = str(IPv4Address(frame[at + start : at + start + 4]))
        yield Part(f"{where}{name} address", at + start, at + start + 4, text)
    if size > 20:
        yield Part(f"{where}IPv4 options", at + 20, at + size, frame[at + 20 : at + size].hex(" "))
    if not struct.unpack_from("!H", frame, at + 6)[0] & 0x1FFF:
        yield from _transport(frame, at + size, frame[at + 9], where)


def _transport(frame: bytes, at: int, protocol: int, where: str) -> Iterator[Part]:
    if len(frame) < at + 8 or protocol not in NAMES:
        return
    if protocol == ICMP:
        yield _number(frame, f"{where}ICMP type", at, 1)
        yield _number(frame, f"{where}ICMP code", at + 1, 1)
        yield _checksum(frame, f"{where}ICMP checksum", at + 2)
        if frame[at] in _ERRORS and not where:
            yield _number(frame, "rest of the ICMP header", at + 4, 4)
            yield from _ipv4(frame, at + 8, "quoted ")
        else:
            yield _number(frame, f"{where}ICMP identifier", at + 4, 2)
            yield _number(frame, f"{where}ICMP sequence number", at + 6, 2)
        return
    yield _number(frame, f"{where}source port", at, 2)
    yield _number(frame, f"{where}destination port", at + 2, 2)
    if protocol == UDP:
        yield _number(frame, f"{where}UDP length", at + 4, 2)
        yield _checksum(frame, f"{where}UDP checksum", at + 6)
        return
    yield _number(frame, f"{where}TCP sequence number", at + 4, 4)
    for name, start, length in (("acknowledgment number", 8, 4), ("flags", 12, 2), ("window", 14, 2)):
        if len(frame) >= at + start + length:
            yield _number(frame, f"{where}TCP {name}", at + start, length)
    if len(frame) >= at + 18:
        yield _checksum(frame, f"{where}TCP checksum", at + 16)


def _number(frame: bytes, name: str, at: int, length: int) -> Part:
    return Part(name, at, at + length, str(int.from_bytes(frame[at : at + length], "big")))


def _checksum(frame: bytes, name: str, at: int) -> Part:
    return Part(name, at, at + 2, f"0x{frame[at : at + 2].hex()}")

"""Headers as bytes, made independently of any learner's code, and where each field stands in them."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath.headers import Arp, Ethernet, Ipv4, Udp
from podpath.packets import ETH_ARP, UDP, arp, checksum, ethernet

Layout = tuple[tuple[str, int, int], ...]  # fields: name, first byte, byte after the last

ETHERNET: Layout = (("destination", 0, 6), ("source", 6, 12), ("ethertype", 12, 14))
ARP: Layout = (
    ("hardware type", 0, 2),
    ("protocol type", 2, 4),
    ("hardware address length", 4, 5),
    ("protocol address length", 5, 6),
    ("operation", 6, 8),
    ("sha", 8, 14),
    ("spa", 14, 18),
    ("tha", 18, 24),
    ("tpa", 24, 28),
)
IPV4: Layout = (
    ("version and IHL", 0, 1),
    ("tos", 1, 2),
    ("total length", 2, 4),
    ("identification", 4, 6),
    ("flags and fragment_offset", 6, 8),
    ("ttl", 8, 9),
    ("protocol", 9, 10),
    ("header checksum", 10, 12),
    ("source", 12, 16),
    ("destination", 16, 20),
)
UDP_HEADER: Layout = (
    ("source_port", 0, 2),
    ("destination_port", 2, 4),
    ("length", 4, 6),
    ("checksum", 6, 8),
)
ARP_FRAME: Layout = (
    *((f"Ethernet {name}", start, end) for name, start, end in ETHERNET),
    *((f"ARP {name}", start + 14, end + 14) for name, start, end in ARP),
)


@dataclass(frozen=True)
class Difference:
    """A field that is not as it should be, in bytes. Those that are missing are not there."""

    name: str
    start: int
    expected: bytes
    got: bytes

    @property
    def swapped(self) -> bool:
        """Whether it is a number whose bytes are in the wrong order."""
        return 2 <= len(self.expected) <= 4 and self.got == self.expected[::-1]


def differences(expected: bytes, got: bytes, layout: Iterable[tuple[str, int, int]]) -> Iterator[Difference]:
    """The fields of `layout` that are not as expected, in order."""
    for name, start, end in layout:
        if expected[start:end] != got[start:end]:
            yield Difference(name, start, expected[start:end], got[start:end])


def ethernet_frame(header: Ethernet, payload: bytes) -> bytes:
    """The bytes of a frame; it is not padded."""
    return ethernet(header.destination, header.source, header.ethertype, payload)


def arp_packet(header: Arp) -> bytes:
    """The 28 bytes of an ARP packet."""
    return arp(header.operation, header.sha, header.spa, header.tha, header.tpa)


def arp_frame(destination: bytes, header: Arp, source: bytes | None = None) -> bytes:
    """An ARP packet in a frame, from its sender unless told otherwise."""
    return ethernet(destination, source or header.sha, ETH_ARP, arp_packet(header))


def ipv4_packet(
    header: Ipv4,
    payload: bytes,
    version: int = 4,
    ihl: int | None = None,
    total: int | None = None,
    check: int | None = None,
) -> bytes:
    """The bytes of a packet. Version, IHL, total length and header checksum are right unless told otherwise."""
    size = 20 + len(header.options)
    head = bytearray(size)
    head[0] = version << 4 | (size // 4 if ihl is None else ihl)
    head[1] = header.tos
    struct.pack_into("!H", head, 2, size + len(payload) if total is None else total)
    struct.pack_into("!HH", head, 4, header.identification, header.flags << 13 | header.fragment_offset)
    head[8:10] = header.ttl, header.protocol
    head[12:20] = header.source.packed + header.destination.packed
    head[20:] = header.options
    struct.pack_into("!H", head, 10, checksum(bytes(head)) if check is None else check)
    return bytes(head) + payload


def pseudo_header(source: IPv4Address, destination: IPv4Address, length: int) -> bytes:
    """What a UDP checksum covers besides the datagram (RFC 768)."""
    return source.packed + destination.packed + struct.pack("!BBH", 0, UDP, length)


def udp_datagram(
    header: Udp,
    payload: bytes,
    source: IPv4Address,
    destination: IPv4Address,
    length: int | None = None,
    check: int | None = None,
) -> bytes:
    """The bytes of a datagram. Length and checksum are right unless told otherwise."""
    length = 8 + len(payload) if length is None else length
    head = struct.pack("!HHHH", header.source_port, header.destination_port, length, 0)
    if check is None:
        check = checksum(pseudo_header(source, destination, length) + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", check) + payload

"""IPv4 packets as the checks of the router need them: with everything that a header can hold, also what is wrong. Pure."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath.packets import ICMP, checksum

DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
ICMP_ERRORS = {3: "unreachable", 4: "source quench", 5: "redirect", 11: "time exceeded", 12: "parameter problem"}
ROOM = 8  # bytes behind the header of the offending packet that an error quotes at least (RFC 792)


def datagram(
    source: IPv4Address,
    destination: IPv4Address,
    protocol: int,
    payload: bytes,
    ttl: int = 64,
    ident: int = 0,
    fragment: int = 0,
    tos: int = 0,
    options: bytes = b"",
) -> bytes:
    """One IPv4 packet (RFC 791, 3.1). `fragment` is flags and offset as one number; `options` are whole 32-bit words."""
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, tos, size + len(payload), ident, fragment, ttl, protocol, 0)
    return summed(head + source.packed + destination.packed + options) + payload


def icmp(kind: int, code: int, quoted: bytes) -> bytes:
    """An ICMP error (RFC 792) with a quoted packet; the four bytes between are zero."""
    head = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return head[:2] + struct.pack("!H", checksum(head)) + head[4:]


def summed(header: bytes) -> bytes:
    """A header with its checksum, made from scratch."""
    empty = header[:10] + b"\0\0" + header[12:]
    return empty[:10] + struct.pack("!H", checksum(empty)) + empty[12:]


def aged(packet: bytes) -> bytes:
    """The packet one hop later: TTL one less, checksum made from scratch."""
    size = header_size(packet)
    return summed(packet[:8] + bytes([packet[8] - 1]) + packet[9:size]) + packet[size:]


def with_checksum(packet: bytes, wanted: int) -> bytes:
    """The packet with such an identification that its header checksum, made from scratch, is `wanted`.

    There is one for each `wanted` but 0xffff, which no header has: its sum is never 0 (RFC 1624, 3).
    """
    size = header_size(packet)
    without = checksum(packet[:4] + b"\0\0" + packet[6:10] + b"\0\0" + packet[12:size])
    ident = (without - wanted) % 0xFFFF
    found = summed(packet[:4] + struct.pack("!H", ident) + packet[6:size])
    if found[10:12] != struct.pack("!H", wanted):
        raise ValueError(f"no identification makes the checksum {wanted:04x}")
    return found + packet[size:]


def header_size(packet: bytes) -> int:
    """Bytes of the header, as its first byte says."""
    return (packet[0] & 15) * 4


@dataclass(frozen=True)
class Ip:
    """What a packet says, if it can be read at all."""

    source: IPv4Address
    destination: IPv4Address
    ttl: int
    protocol: int
    total: int
    payload: bytes


def read(packet: bytes) -> Ip | str:
    """The packet, read; or, in words, why it cannot be."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or not 20 <= header_size(packet) <= len(packet):
        return f"it has no whole IPv4 header: {packet[:20].hex(' ') or 'nothing'}"
    total, _, _, ttl, protocol = struct.unpack_from("!HHHBB", packet, 2)
    if total != len(packet):
        return f"its total length says {total} bytes, but there are {len(packet)}"
    if checksum(packet[: header_size(packet)]):
        right = int.from_bytes(summed(packet[: header_size(packet)])[10:12])
        return f"its header checksum is {packet[10:12].hex()}, must be {right:04x}"
    own, other = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    return Ip(own, other, ttl, protocol, total, packet[header_size(packet) :])


def is_error(packet: bytes) -> bool:
    """Whether a packet, as far as one can tell, is an ICMP error."""
    size = header_size(packet) if packet else 0
    return len(packet) > size >= 20 and packet[9] == ICMP and packet[size] in ICMP_ERRORS

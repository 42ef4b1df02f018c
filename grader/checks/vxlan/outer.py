"""What carries a frame from VTEP to VTEP: outer IPv4, UDP and VXLAN, built here with everything in it, and read. Pure.

Built from scratch, for the checks: nothing here is a learner's.
"""

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from podpath.packets import UDP, checksum, describe

HEADERS = 36  # bytes: outer IPv4 (20), UDP (8), VXLAN (8)
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
DYNAMIC = range(49152, 65536)  # UDP ports that are nobody's (RFC 6335)


@dataclass(frozen=True)
class Tunnel:
    """One packet on the underlay. What is not `vni`, addresses, `port` and `frame` is as a plain sender sets it.

    `options` are whole 32-bit words; `total` and `length` are the lengths in the IPv4 and in the UDP header where they
    are to be wrong; `udp_checksum` is None for none (0), or "right", or "wrong".
    """

    vni: int
    source: IPv4Address
    destination: IPv4Address
    port: int
    frame: bytes
    sport: int = 50000
    flags: int = 0x08
    reserved: bytes = bytes(4)  # the three bytes after the flags, and the last one
    udp_checksum: str | None = None
    length: int | None = None
    protocol: int = UDP
    first: int | None = None
    total: int | None = None
    fragment: int = DONT_FRAGMENT
    ttl: int = 64
    tos: int = 0
    ident: int = 0
    options: bytes = b""

    def but(self, **changes: object) -> "Tunnel":
        """The same with something changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # the names are ours

    def packet(self) -> bytes:
        """Its bytes."""
        inside = bytes([self.flags]) + self.reserved[:3] + self.vni.to_bytes(3) + self.reserved[3:] + self.frame
        length = 8 + len(inside) if self.length is None else self.length
        udp = struct.pack("!HHHH", self.sport, self.port, length, 0)
        if self.udp_checksum is not None:
            right = udp_checksum(self.source, self.destination, udp + inside)
            chosen = right if self.udp_checksum == "right" else right ^ 0x0101
            udp = udp[:6] + chosen.to_bytes(2)
        size = 20 + len(self.options)
        total = size + 8 + len(inside) if self.total is None else self.total
        first = 0x40 | size // 4 if self.first is None else self.first
        head = struct.pack("!BBHHHBBH", first, self.tos, total, self.ident, self.fragment, self.ttl, self.protocol, 0)
        head += self.source.packed + self.destination.packed + self.options
        return head[:10] + checksum(head).to_bytes(2) + head[12:] + udp + inside


def udp_checksum(source: IPv4Address, destination: IPv4Address, datagram: bytes) -> int:
    """The checksum of a UDP datagram in which it is 0 (RFC 768): with the pseudo-header, and never 0."""
    pseudo = source.packed + destination.packed + struct.pack("!BBH", 0, UDP, len(datagram))
    return checksum(pseudo + datagram) or 0xFFFF


def told(packet: bytes) -> str:
    """A packet on the underlay in words."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return f"{len(packet)} bytes that are no IPv4 packet"
    ends = f"{IPv4Address(packet[12:16])} > {IPv4Address(packet[16:20])}"
    if packet[0] != 0x45 or packet[9] != UDP or len(packet) < HEADERS:
        return f"{ends}, protocol {packet[9]}, {len(packet)} bytes"
    sport, dport = struct.unpack_from("!HH", packet, 20)
    vni = int.from_bytes(packet[32:35])
    return f"{ends}, UDP {sport} > {dport}, VNI {vni} [{describe(packet[HEADERS:])}], {len(packet)} bytes in all"


def fault(packet: bytes, wanted: Tunnel) -> str:
    """What is wrong with a packet that was to carry a frame, in words; "" if nothing is.

    Free are the identification, TTL, type of service, "don't fragment", the source port, and whether there is a checksum
    for UDP.
    """
    return _ipv4_fault(packet, wanted) or _udp_fault(packet, wanted) or _vxlan_fault(packet, wanted)


def _ipv4_fault(packet: bytes, wanted: Tunnel) -> str:
    right = HEADERS + len(wanted.frame)
    if packet == wanted.frame:
        return "The frame was sent as it is: it must be inside an IPv4 packet, between the two VTEPs."
    if packet[12:14] == b"\x08\0" and packet[14:15] == b"\x45" and packet[:1] != b"\x45":
        return (
            "It begins with an Ethernet header. The underlay takes IPv4 packets: the node's kernel puts the outer Ethernet "
            "header before them."
        )
    if len(packet) < 20 or packet[0] != 0x45:
        return (
            f"It must begin with an IPv4 header without options (45 ...), but it begins with {packet[:4].hex(' ')}."
        )
    if len(packet) >= HEADERS and packet[HEADERS:] == wanted.frame[14:]:
        return (
            "After the VXLAN header an Ethernet header is expected, but an IP header is there: VXLAN carries the whole frame, "
            "with its Ethernet header."
        )
    total, fragment, ttl, protocol = struct.unpack_from("!H2xHBB", packet, 2)
    if total != right:
        return f"The IPv4 total length is {total}, must be {right}.{_length_hint(total, right)}"
    own, far = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    if (own, far) == (wanted.destination, wanted.source):
        return f"Source and destination are swapped: it goes from {wanted.source} to {wanted.destination}."
    if own != wanted.source or far != wanted.destination:
        return f"It goes from {own} to {far}, must be from {wanted.source} to {wanted.destination}, the VTEPs."
    if protocol != UDP:
        return f"Its IPv4 protocol is {protocol}, must be {UDP} (UDP)."
    if fragment & ~DONT_FRAGMENT:
        return "Its fragment field is wrong: a VTEP never sends fragments (RFC 7348, 4.3)."
    if ttl < 16:
        return f"Its outer TTL is {ttl}: packets would be lost on the way. Use 64."
    if checksum(packet[:20]):
        made = checksum(packet[:10] + b"\0\0" + packet[12:20])
        return (
            f"The checksum of the outer IPv4 header is {packet[10:12].hex()}, must be {made:04x}. It is made over the 20 bytes "
            "of the header as it is sent, with 0 in the place of the checksum itself."
        )
    return ""


def _length_hint(found: int, right: int) -> str:
    if found == int.from_bytes(right.to_bytes(2), "little"):
        return " The two bytes are swapped: network byte order is big-endian, `!` in struct."
    if found == right + 14:
        return " The outer Ethernet header is not part of the packet."
    if found in (right - 20, right - 8, right - 16, right - 28, right - 36):
        return f" You left {right - found} bytes of headers out: the length counts the header it stands in, too."
    return ""


def _udp_fault(packet: bytes, wanted: Tunnel) -> str:
    if len(packet) < HEADERS:
        return f"It has {len(packet)} bytes: the three outer headers alone have {HEADERS}."
    sport, dport, length, summed = struct.unpack_from("!HHHH", packet, 20)
    right = 16 + len(wanted.frame)
    if dport != wanted.port:
        if dport == int.from_bytes(wanted.port.to_bytes(2), "little"):
            swapped = "the two bytes are swapped: network byte order is big-endian, `!` in struct"
            return f"Its UDP destination port is {dport}, must be {wanted.port}: {swapped}."
        return f"Its UDP destination port is {dport}, must be {wanted.port}, the `udp_port` that was given."
    if sport not in DYNAMIC:
        return f"Its UDP source port is {sport}, must be within 49152 to 65535 (RFC 7348, 5)."
    if length != right:
        return f"The UDP length is {length}, must be {right}.{_length_hint(length, right)}"
    datagram = packet[20:26] + b"\0\0" + packet[28:]
    made = udp_checksum(wanted.source, wanted.destination, datagram)
    if summed and summed != made and len(packet) == HEADERS + len(wanted.frame):
        return (
            f"The UDP checksum is {summed:04x}, must be {made:04x}, or 0 for none. It covers source, destination, protocol "
            "and length as well (the pseudo-header)."
        )
    return ""


def _vxlan_fault(packet: bytes, wanted: Tunnel) -> str:
    header, frame, number = packet[28:36], packet[HEADERS:], wanted.vni.to_bytes(3)
    if header != b"\x08\0\0\0" + number + b"\0":
        said = f"The VXLAN header is {header.hex(' ')}, must be 08 00 00 00 {number.hex(' ')} 00. "
        if header[5:8] == number and wanted.vni and header[4:7] != number:
            return said + "The VNI stands in bytes 4 to 6; the last byte is reserved."
        if header[4:7] == number[::-1] and number != number[::-1]:
            return said + "The bytes of the VNI are in the wrong order: big-endian, as everywhere in the network."
        if header[4:7] != number:
            return said + "Bytes 4 to 6 are the VNI."
        if header[0] != 0x08:
            return (
                said + "The first byte is the flags: I (0x08) says that the VNI is valid, the others are sent as 0."
            )
        return said + "Reserved bits are sent as 0."
    if frame == wanted.frame:
        return ""
    if frame[:22] == wanted.frame[:22] and frame[12:14] == b"\x08\0" and frame[22] == wanted.frame[22] - 1:
        return (
            f"The inner TTL was {wanted.frame[22]} and is {frame[22]}: the inner packet crosses a link, not a router. Not a "
            "byte of the frame is changed."
        )
    return inner_fault(frame, wanted.frame)


def inner_fault(frame: bytes, wanted: bytes) -> str:
    """How an inner frame differs from the one it must be."""
    if len(frame) != len(wanted):
        return f"The frame inside has {len(frame)} bytes, must have {len(wanted)}: the whole frame, and nothing more."
    at = next(i for i, byte in enumerate(wanted) if frame[i] != byte)
    return f"Byte {at} of the frame inside is {frame[at]:02x}, must be {wanted[at]:02x}: not a byte of it is changed."

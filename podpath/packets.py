"""Headers to bytes, bytes to headers, and frames in words.

Pure: nothing here does I/O. Addresses in text are written as Linux writes them. A frame is an Ethernet frame without
its frame check sequence (IEEE 802.3, 3.1.1), a MAC address is 6 bytes.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

ETHERNET_HEADER = 14  # bytes: destination, source, EtherType
BROADCAST = b"\xff" * 6

ETH_IPV4, ETH_ARP, ETH_VLAN, ETH_IPV6, ETH_LLDP = 0x0800, 0x0806, 0x8100, 0x86DD, 0x88CC
ICMP, TCP, UDP = 1, 6, 17

_ICMP_NAMES = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_TCP_FLAGS = ((0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"))


def mac(text: str) -> bytes:
    """The 6 bytes of an address such as `0a:58:0a:f4:01:02`; ValueError if it is none."""
    value = bytes.fromhex(text.replace(":", "").replace("-", ""))
    if len(value) != 6:
        raise ValueError(f"{text!r} is no MAC address: six bytes in hex, with colons between")
    return value


def mac_text(address: bytes) -> str:
    """`0a:58:0a:f4:01:02` for its 6 bytes."""
    return address.hex(":")


def is_group(address: bytes) -> bool:
    """Whether a MAC address is broadcast or multicast: the lowest bit of its first byte (IEEE 802, 8.2)."""
    return bool(address[0] & 1)


def checksum(data: bytes) -> int:
    """The Internet checksum of `data` (RFC 1071): the 16-bit one's complement of the one's complement sum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination: bytes, source: bytes, ethertype: int, payload: bytes = b"") -> bytes:
    """One Ethernet frame, as given: it is not padded to 60 bytes."""
    return destination + source + struct.pack("!H", ethertype) + payload


def arp(operation: int, sha: bytes, spa: IPv4Address, tha: bytes, tpa: IPv4Address) -> bytes:
    """An ARP packet (RFC 826) for IPv4 over Ethernet, 28 bytes; `operation` 1 asks, 2 answers."""
    return struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, operation) + sha + spa.packed + tha + tpa.packed


def ipv4(
    source: IPv4Address, destination: IPv4Address, protocol: int, payload: bytes, ttl: int = 64, ident: int = 0
) -> bytes:
    """An IPv4 packet without options, not to be fragmented (RFC 791, 3.1)."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ident, 0x4000, ttl, protocol, 0)
    head += source.packed + destination.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def icmp_echo(kind: int, ident: int, sequence: int, payload: bytes = b"") -> bytes:
    """An ICMP echo message (RFC 792): `kind` 8 asks, 0 answers."""
    head = struct.pack("!BBHHH", kind, 0, 0, ident, sequence)
    return head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:] + payload


def udp(sport: int, dport: int, payload: bytes) -> bytes:
    """A UDP datagram without a checksum, which IPv4 allows (RFC 768)."""
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


@dataclass(frozen=True)
class Field:
    """One field of a frame, in words: where it stands (`start` to `end`, in bytes) and what it says."""

    name: str
    start: int
    end: int
    text: str


def fields(frame: bytes) -> list[Field]:
    """The Ethernet header of a frame, field by field; of a frame that is cut short, what there is."""
    found = []
    for name, start, end in (("destination", 0, 6), ("source", 6, 12), ("type", 12, 14)):
        part = frame[start:end]
        if part:
            text = mac_text(part) if name != "type" else f"0x{part.hex()}"
            found.append(Field(name, start, start + len(part), text))
    if len(frame) > ETHERNET_HEADER:
        found.append(Field("payload", ETHERNET_HEADER, len(frame), f"{len(frame) - ETHERNET_HEADER} bytes"))
    return found


def describe(frame: bytes) -> str:
    """One line that tells a person what a frame is.

    >>> describe(ethernet(BROADCAST, mac("0a:58:0a:f4:01:02"), 0x88B5, b"hello"))
    '0a:58:0a:f4:01:02 > ff:ff:ff:ff:ff:ff (broadcast), type 0x88b5, 19 bytes'
    """
    if len(frame) < ETHERNET_HEADER:
        shown = frame.hex(" ") or "empty"
        return f"too short for Ethernet: {len(frame)} bytes ({shown})"
    destination, source = frame[:6], frame[6:12]
    kind = " (broadcast)" if destination == BROADCAST else " (multicast)" if is_group(destination) else ""
    ethertype, offset = struct.unpack_from("!H", frame, 12)[0], ETHERNET_HEADER
    vlan = ""
    if ethertype == ETH_VLAN and len(frame) >= 18:
        tag, ethertype = struct.unpack_from("!HH", frame, 14)
        vlan, offset = f"VLAN {tag & 0xFFF}, ", 18
    inside = _network(ethertype, frame[offset:]) or f"type 0x{ethertype:04x}"
    return f"{mac_text(source)} > {mac_text(destination)}{kind}, {vlan}{inside}, {len(frame)} bytes"


def _network(ethertype: int, data: bytes) -> str:
    if ethertype == ETH_ARP and len(data) >= 28:
        operation, sha, spa, _, tpa = struct.unpack_from("!H6s4s6s4s", data, 6)
        if operation == 1:
            return f"ARP who has {IPv4Address(tpa)}? tell {IPv4Address(spa)}"
        return f"ARP {IPv4Address(spa)} is at {mac_text(sha)}"
    if ethertype == ETH_IPV4 and len(data) >= 20:
        header = (data[0] & 15) * 4
        source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
        return f"IPv4 {source} > {destination} {_transport(data[9], data[header:])}"
    return {ETH_ARP: "ARP (cut short)", ETH_IPV4: "IPv4 (cut short)", ETH_IPV6: "IPv6", ETH_LLDP: "LLDP"}.get(
        ethertype, ""
    )


def _transport(protocol: int, data: bytes) -> str:
    if protocol == ICMP and len(data) >= 8:
        kind, _, _, ident, sequence = struct.unpack_from("!BBHHH", data)
        name = _ICMP_NAMES.get(kind, f"type {kind}")
        return f"ICMP {name}" + (f" id {ident} seq {sequence}" if kind in (0, 8) else "")
    if protocol == TCP and len(data) >= 20:
        sport, dport, _, _, _, flags = struct.unpack_from("!HHIIBB", data)
        names = " ".join(name for bit, name in _TCP_FLAGS if flags & bit)
        return f"TCP {sport} > {dport} {names}".rstrip()
    if protocol == UDP and len(data) >= 8:
        sport, dport = struct.unpack_from("!HH", data)
        return f"UDP {sport} > {dport}"
    return f"protocol {protocol}"


def differences(expected: bytes, actual: bytes) -> list[str]:
    """What distinguishes two frames, in words: the header fields first, then the first byte of the payload."""
    told = []
    for ours, theirs in zip(fields(expected), fields(actual), strict=False):
        if ours.name != "payload" and expected[ours.start : ours.end] != actual[theirs.start : theirs.end]:
            told.append(f"{ours.name} is {theirs.text}, was {ours.text}")
    if len(expected) != len(actual):
        told.append(f"length is {len(actual)} bytes, was {len(expected)}")
    both = range(ETHERNET_HEADER, min(len(expected), len(actual)))
    place = next((i for i in both if expected[i] != actual[i]), None)
    if place is not None:
        told.append(f"byte {place} is 0x{actual[place]:02x}, was 0x{expected[place]:02x}")
    return told


def hexdump(frame: bytes, marked: Sequence[int] = ()) -> str:
    """A frame in hex, 16 bytes a line; a line of carets below shows the `marked` byte offsets."""
    lines, wanted = [], set(marked)
    for start in range(0, len(frame), 16):
        row = range(start, min(start + 16, len(frame)))
        lines.append(f"{start:4}  " + " ".join(f"{frame[i]:02x}" for i in row))
        if wanted & set(row):
            lines.append("      " + " ".join("^^" if i in wanted else "  " for i in row).rstrip())
    return "\n".join(lines)

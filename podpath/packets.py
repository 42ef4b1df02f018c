"""Headers to bytes, bytes to headers, and frames in words.

Pure: nothing here does I/O. Addresses in text are written as Linux writes them. A frame is an Ethernet frame without
its frame check sequence (IEEE 802.3, 3.1.1), a MAC address is 6 bytes.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath.layers import BROADCAST as BROADCAST
from podpath.layers import ETH_ARP as ETH_ARP
from podpath.layers import ETH_IPV4 as ETH_IPV4
from podpath.layers import ETH_IPV6 as ETH_IPV6
from podpath.layers import ETH_LLDP as ETH_LLDP
from podpath.layers import ETH_VLAN as ETH_VLAN
from podpath.layers import ETHERNET_HEADER as ETHERNET_HEADER
from podpath.layers import ICMP as ICMP
from podpath.layers import TCP as TCP
from podpath.layers import UDP as UDP
from podpath.layers import describe as describe


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

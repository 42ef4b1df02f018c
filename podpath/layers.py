"""A frame, layer by layer: what each header says, for people. The one place where frames are decoded. Pure.

Field names are those of Wireshark where it has one. A header that is cut short ends the list; its bytes are payload.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

ETHERNET_HEADER = 14  # bytes: destination, source, EtherType
BROADCAST = b"\xff" * 6

ETH_IPV4, ETH_ARP, ETH_VLAN, ETH_IPV6, ETH_LLDP = 0x0800, 0x0806, 0x8100, 0x86DD, 0x88CC
ICMP, TCP, UDP = 1, 6, 17
VXLAN_PORTS = (4789, 8472)  # IANA's (RFC 7348), and the one that Linux and flannel had before

_ICMP_NAMES = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_TCP_FLAGS = ((0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"))
_TYPES = {ETH_ARP: "ARP", ETH_IPV4: "IPv4", ETH_IPV6: "IPv6", ETH_LLDP: "LLDP"}


@dataclass(frozen=True)
class Layer:
    """One header: its name, where its bytes are in the frame, and its fields as text, in order."""

    name: str
    start: int
    end: int
    fields: dict[str, str] = field(default_factory=dict)


Parsed = tuple[Layer, Callable[[bytes, int], Iterator[Layer]] | None]


def layers(frame: bytes) -> list[Layer]:
    """The layers of an Ethernet frame, outermost first. Any bytes will do; what is not understood is "payload"."""
    return list(_ethernet(frame, 0))


def _rest(frame: bytes, at: int) -> Iterator[Layer]:
    if at < len(frame):
        yield Layer("payload", at, len(frame), {"bytes": str(len(frame) - at)})


def _ethernet(frame: bytes, at: int) -> Iterator[Layer]:
    if len(frame) < at + 14:
        yield from _rest(frame, at)
        return
    kind = struct.unpack_from("!H", frame, at + 12)[0]
    told = {
        "destination": frame[at : at + 6].hex(":"),
        "source": frame[at + 6 : at + 12].hex(":"),
        "type": _TYPES.get(kind, f"0x{kind:04x}"),
    }
    yield Layer("Ethernet", at, at + 14, told)
    yield from _after_type(kind, frame, at + 14)


def _after_type(kind: int, frame: bytes, at: int) -> Iterator[Layer]:
    if kind == ETH_VLAN and len(frame) >= at + 4:
        tag, inner = struct.unpack_from("!HH", frame, at)
        yield Layer("VLAN", at, at + 4, {"id": str(tag & 0xFFF), "type": _TYPES.get(inner, f"0x{inner:04x}")})
        yield from _after_type(inner, frame, at + 4)
    elif kind == ETH_ARP and len(frame) >= at + 28:
        yield _arp(frame, at)
    elif kind == ETH_IPV4 and len(frame) >= at + 20 and frame[at] >> 4 == 4 and frame[at] & 15 >= 5:
        yield from _ipv4(frame, at)
    else:
        yield from _rest(frame, at)


def _arp(frame: bytes, at: int) -> Layer:
    operation, sha, spa, tha, tpa = struct.unpack_from("!H6s4s6s4s", frame, at + 6)
    told = {
        "operation": {1: "who has", 2: "is at"}.get(operation, str(operation)),
        "sender": f"{IPv4Address(spa)} ({sha.hex(':')})",
        "target": str(IPv4Address(tpa)) + (f" ({tha.hex(':')})" if operation != 1 else ""),
    }
    return Layer("ARP", at, at + 28, told)


def _ipv4(frame: bytes, at: int) -> Iterator[Layer]:
    size = (frame[at] & 15) * 4
    total, ident, fragment, ttl, protocol = struct.unpack_from("!HHHBB", frame, at + 2)
    told = {
        "source": str(IPv4Address(frame[at + 12 : at + 16])),
        "destination": str(IPv4Address(frame[at + 16 : at + 20])),
        "ttl": str(ttl),
        "id": str(ident),
        "protocol": {ICMP: "ICMP", TCP: "TCP", UDP: "UDP"}.get(protocol, str(protocol)),
    }
    if fragment & 0x3FFF:
        told["fragment"] = f"at {(fragment & 0x1FFF) * 8}{', more follow' if fragment & 0x2000 else ''}"
    yield Layer("IPv4", at, at + size, told)
    packet = frame[: at + total] if size <= total <= len(frame) - at else frame  # Ethernet pads short ones
    if fragment & 0x1FFF:
        yield from _rest(packet, at + size)
        return
    following = {ICMP: _icmp, TCP: _tcp, UDP: _udp}.get(protocol, _rest)
    yield from following(packet, at + size)


def _icmp(frame: bytes, at: int) -> Iterator[Layer]:
    if len(frame) < at + 8:
        yield from _rest(frame, at)
        return
    kind, code, _, ident, sequence = struct.unpack_from("!BBHHH", frame, at)
    told = {"type": _ICMP_NAMES.get(kind, str(kind))}
    told |= {"id": str(ident), "seq": str(sequence)} if kind in (0, 8) else {"code": str(code)}
    yield Layer("ICMP", at, at + 8, told)
    yield from _rest(frame, at + 8)


def _tcp(frame: bytes, at: int) -> Iterator[Layer]:
    if len(frame) < at + 20:
        yield from _rest(frame, at)
        return
    sport, dport, sequence, ack, offset, flags = struct.unpack_from("!HHIIBB", frame, at)
    names = " ".join(name for bit, name in _TCP_FLAGS if flags & bit)
    told = {"source port": str(sport), "destination port": str(dport), "flags": names, "seq": str(sequence)}
    if flags & 0x10:
        told["ack"] = str(ack)
    end = min(len(frame), at + max(5, offset >> 4) * 4)
    yield Layer("TCP", at, end, told)
    yield from _rest(frame, end)


def _udp(frame: bytes, at: int) -> Iterator[Layer]:
    if len(frame) < at + 8:
        yield from _rest(frame, at)
        return
    sport, dport = struct.unpack_from("!HH", frame, at)
    yield Layer("UDP", at, at + 8, {"source port": str(sport), "destination port": str(dport)})
    if dport in VXLAN_PORTS and len(frame) >= at + 16 and frame[at + 8] & 8:
        vni = int.from_bytes(frame[at + 12 : at + 15])
        yield Layer("VXLAN", at + 8, at + 16, {"vni": str(vni)})
        yield from _ethernet(frame, at + 16)
    else:
        yield from _rest(frame, at + 8)


def describe(frame: bytes) -> str:
    """One line that tells a person what a frame is.

    >>> describe(bytes.fromhex("ffffffffffff0a580af4010288b5") + b"hello")
    '0a:58:0a:f4:01:02 > ff:ff:ff:ff:ff:ff (broadcast), type 0x88b5, 19 bytes'
    """
    if len(frame) < ETHERNET_HEADER:
        return f"too short for Ethernet: {len(frame)} bytes ({frame.hex(' ') or 'empty'})"
    first, *inner = layers(frame)
    group = " (broadcast)" if frame[:6] == BROADCAST else " (multicast)" if frame[0] & 1 else ""
    told, kind = [f"{first.fields['source']} > {first.fields['destination']}{group}"], first.fields["type"]
    if inner and inner[0].name == "VLAN":
        told.append(f"VLAN {inner[0].fields['id']}")
        kind, inner = inner[0].fields["type"], inner[1:]
    told.append(_words(kind, inner))
    return ", ".join([*told, f"{len(frame)} bytes"])


def describe_packet(packet: bytes) -> str:
    """The same of an IPv4 packet that has no Ethernet header."""
    return f"{_words('IPv4', list(_after_type(ETH_IPV4, packet, 0)))}, {len(packet)} bytes"


def _words(kind: str, inner: list[Layer]) -> str:
    """What is in an Ethernet frame: the network layer and the one above it."""
    if not inner or inner[0].name == "payload":
        return f"type {kind}" if kind.startswith("0x") else f"{kind} (cut short)" if kind in ("ARP", "IPv4") else kind
    network = inner[0].fields
    if inner[0].name == "ARP":
        if network["operation"] == "who has":
            return f"ARP who has {network['target']}? tell {network['sender'].split()[0]}"
        return "ARP {} is at {}".format(*network["sender"].rstrip(")").split(" ("))
    transport = inner[1] if len(inner) > 1 else Layer("payload", 0, 0)
    above = f"{network['protocol']} fragment" if "fragment" in network else _transport(network["protocol"], transport)
    return f"IPv4 {network['source']} > {network['destination']} {above}"


def _transport(protocol: str, transport: Layer) -> str:
    told = transport.fields
    if transport.name == "ICMP":
        name = told["type"] if not told["type"].isdigit() else f"type {told['type']}"
        return f"ICMP {name}" + (f" id {told['id']} seq {told['seq']}" if "seq" in told else "")
    if transport.name in ("TCP", "UDP"):
        return f"{protocol} {told['source port']} > {told['destination port']} {told.get('flags', '')}".rstrip()
    return f"protocol {protocol}" if protocol.isdigit() else f"{protocol} (cut short)"

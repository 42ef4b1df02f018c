"""Headers as big-endian structures of ctypes; None for what does not fit, by way of the ValueError that they raise."""

import ctypes
from ipaddress import IPv4Address

from podpath.headers import Arp, Ethernet, Ipv4, Udp

SIX, FOUR = ctypes.c_ubyte * 6, ctypes.c_ubyte * 4


class EthernetBytes(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [("destination", SIX), ("source", SIX), ("kind", ctypes.c_uint16)]


class ArpBytes(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [
        ("htype", ctypes.c_uint16),
        ("ptype", ctypes.c_uint16),
        ("hlen", ctypes.c_uint8),
        ("plen", ctypes.c_uint8),
        ("operation", ctypes.c_uint16),
        ("sha", SIX),
        ("spa", FOUR),
        ("tha", SIX),
        ("tpa", FOUR),
    ]


class Ipv4Bytes(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [
        ("version", ctypes.c_uint8, 4),
        ("ihl", ctypes.c_uint8, 4),
        ("tos", ctypes.c_uint8),
        ("total", ctypes.c_uint16),
        ("ident", ctypes.c_uint16),
        ("flags", ctypes.c_uint16, 3),
        ("offset", ctypes.c_uint16, 13),
        ("ttl", ctypes.c_uint8),
        ("protocol", ctypes.c_uint8),
        ("check", ctypes.c_uint16),
        ("source", FOUR),
        ("destination", FOUR),
    ]


class UdpBytes(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [(name, ctypes.c_uint16) for name in ("source", "destination", "length", "check")]


def parse_ethernet(frame):
    try:
        raw = EthernetBytes.from_buffer_copy(frame)
    except ValueError:
        return None
    return Ethernet(bytes(raw.destination), bytes(raw.source), raw.kind), frame[ctypes.sizeof(raw) :]


def build_ethernet(header, payload):
    return bytes(EthernetBytes(SIX(*header.destination), SIX(*header.source), header.ethertype)) + payload


def parse_arp(packet):
    try:
        raw = ArpBytes.from_buffer_copy(packet)
    except ValueError:
        return None
    if (raw.htype, raw.ptype, raw.hlen, raw.plen) != (1, 2048, 6, 4):
        return None
    sender = bytes(raw.sha), IPv4Address(bytes(raw.spa))
    return Arp(raw.operation, *sender, bytes(raw.tha), IPv4Address(bytes(raw.tpa)))


def build_arp(arp):
    ends = SIX(*arp.sha), FOUR(*arp.spa.packed), SIX(*arp.tha), FOUR(*arp.tpa.packed)
    return bytes(ArpBytes(1, 2048, 6, 4, arp.operation, *ends))


class ArpResponder:
    def __init__(self, mac, address):
        self.mac = mac
        self.address = address

    def receive(self, port, frame, now):
        match parse_ethernet(frame):
            case (Ethernet(destination=to, ethertype=0x0806), payload) if to in (self.mac, b"\xff" * 6):
                match parse_arp(payload):
                    case Arp(operation=1, sha=sha, spa=spa, tpa=self.address):
                        answer = build_arp(Arp(2, self.mac, self.address, sha, spa))
                        return [(port, build_ethernet(Ethernet(sha, self.mac, 0x0806), answer))]
        return []


def checksum(data):
    words = (ctypes.c_uint16.__ctype_be__ * (-(-len(data) // 2))).from_buffer_copy(bytes(data) + b"\0")
    total = sum(words)
    # What is left when all ones are thrown out; but a sum of nothing but ones and one of nothing at all differ.
    rest = total % 0xFFFF
    return (0xFFFF - rest) % 0xFFFF if total else 0xFFFF


def update_checksum(before, old, new):
    return (0xFFFF - (0xFFFF - before + 0xFFFF - old + new) % 0xFFFF) % 0xFFFF


def parse_ipv4(packet):
    try:
        raw = Ipv4Bytes.from_buffer_copy(packet)
    except ValueError:
        return None
    size = raw.ihl * 4
    if raw.version != 4 or not 20 <= size <= raw.total <= len(packet):
        return None
    zeroed = Ipv4Bytes.from_buffer_copy(packet)
    zeroed.check = 0
    if checksum(bytes(zeroed) + packet[20:size]) != raw.check:
        return None
    header = Ipv4(
        tos=raw.tos,
        identification=raw.ident,
        flags=raw.flags,
        fragment_offset=raw.offset,
        ttl=raw.ttl,
        protocol=raw.protocol,
        source=IPv4Address(bytes(raw.source)),
        destination=IPv4Address(bytes(raw.destination)),
        options=packet[20:size],
    )
    return header, packet[size : raw.total]


def build_ipv4(header, payload):
    raw = Ipv4Bytes(4, 5 + len(header.options) // 4, header.tos)
    raw.total = raw.ihl * 4 + len(payload)
    raw.ident, raw.flags, raw.offset = header.identification, header.flags, header.fragment_offset
    raw.ttl, raw.protocol = header.ttl, header.protocol
    raw.source, raw.destination = FOUR(*header.source.packed), FOUR(*header.destination.packed)
    raw.check = checksum(bytes(raw) + header.options)
    return bytes(raw) + header.options + payload


def udp_sum(datagram, source, destination):
    pseudo = source.packed + destination.packed + b"\0\x11" + len(datagram).to_bytes(2, "big")
    return checksum(pseudo + datagram)


def parse_udp(datagram, source, destination):
    try:
        raw = UdpBytes.from_buffer_copy(datagram)
    except ValueError:
        return None
    if raw.length < 8 or raw.length > len(datagram):
        return None
    whole = datagram[: raw.length]
    without = whole[:6] + b"\0\0" + whole[8:]
    if raw.check and raw.check != (udp_sum(without, source, destination) or 0xFFFF):
        return None
    return Udp(raw.source, raw.destination), whole[8:]


def build_udp(header, payload, source, destination):
    raw = UdpBytes(header.source_port, header.destination_port, 8 + len(payload), 0)
    raw.check = udp_sum(bytes(raw) + payload, source, destination) or 0xFFFF
    return bytes(raw) + payload

"""Does not expect its own parser to say None.

caught-by: garbage
says: 'NoneType' object
cites: PK-12
"""

import struct
from ipaddress import IPv4Address

from podpath.headers import Arp, Ethernet, Ipv4, Udp


def parse_ethernet(frame):
    if len(frame) < 14:
        return None
    destination, source, ethertype = struct.unpack_from("!6s6sH", frame)
    return Ethernet(destination, source, ethertype), frame[14:]


def build_ethernet(header, payload):
    return struct.pack("!6s6sH", header.destination, header.source, header.ethertype) + payload


def parse_arp(packet):
    if len(packet) < 28:
        return None
    htype, ptype, hlen, plen, operation, sha, spa, tha, tpa = struct.unpack_from("!HHBBH6s4s6s4s", packet)
    if (htype, ptype, hlen, plen) != (1, 0x0800, 6, 4):
        return None
    return Arp(operation, sha, IPv4Address(spa), tha, IPv4Address(tpa))


def build_arp(arp):
    start = struct.pack("!HHBBH", 1, 0x0800, 6, 4, arp.operation)
    return start + arp.sha + arp.spa.packed + arp.tha + arp.tpa.packed


class ArpResponder:
    """Answers, with its own MAC address, whoever asks for its IPv4 address."""

    def __init__(self, mac, address):
        self.mac = mac  # 6 bytes
        self.address = address  # an IPv4Address

    def receive(self, port, frame, now):
        """`frame` arrived on `port` at time `now`. Return the list of (port, frame) to send."""
        parsed = parse_ethernet(frame)
        if parsed is None:
            return []
        ethernet, payload = parsed
        if ethernet.ethertype != 0x0806 or ethernet.destination not in (self.mac, b"\xff" * 6):
            return []
        question = parse_arp(payload)
        if question.operation != 1 or question.tpa != self.address:
            return []
        answer = Arp(2, self.mac, self.address, question.sha, question.spa)
        return [(port, build_ethernet(Ethernet(question.sha, self.mac, 0x0806), build_arp(answer)))]


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def update_checksum(before, old, new):
    total = (~before & 0xFFFF) + (~old & 0xFFFF) + new
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse_ipv4(packet):
    if len(packet) < 20:
        return None
    first, tos, total, ident, fragment, ttl, protocol = struct.unpack_from("!BBHHHBB", packet)
    source, destination = packet[12:16], packet[16:20]
    size = (first & 15) * 4
    if first >> 4 != 4 or size < 20 or not size <= total <= len(packet) or checksum(packet[:size]) != 0:
        return None
    header = Ipv4(
        tos,
        ident,
        fragment >> 13,
        fragment & 0x1FFF,
        ttl,
        protocol,
        IPv4Address(source),
        IPv4Address(destination),
        packet[20:size],
    )
    return header, packet[size:total]


def build_ipv4(header, payload):
    size = 20 + len(header.options)
    start = struct.pack(
        "!BBHHHBB",
        4 << 4 | size // 4,
        header.tos,
        size + len(payload),
        header.identification,
        header.flags << 13 | header.fragment_offset,
        header.ttl,
        header.protocol,
    )
    rest = header.source.packed + header.destination.packed + header.options
    return start + struct.pack("!H", checksum(start + b"\0\0" + rest)) + rest + payload


def parse_udp(datagram, source, destination):
    if len(datagram) < 8:
        return None
    sport, dport, length, check = struct.unpack_from("!HHHH", datagram)
    if not 8 <= length <= len(datagram):
        return None
    datagram = datagram[:length]
    pseudo_header = source.packed + destination.packed + struct.pack("!BBH", 0, 17, length)
    if check != 0 and checksum(pseudo_header + datagram) != 0:
        return None
    return Udp(sport, dport), datagram[8:]


def build_udp(header, payload, source, destination):
    length = 8 + len(payload)
    start = struct.pack("!HHH", header.source_port, header.destination_port, length)
    pseudo_header = source.packed + destination.packed + struct.pack("!BBH", 0, 17, length)
    check = checksum(pseudo_header + start + b"\0\0" + payload)
    return start + struct.pack("!H", check or 0xFFFF) + payload

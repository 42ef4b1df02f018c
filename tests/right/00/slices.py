"""Without struct: slices, int.from_bytes and to_bytes; every field by its offset."""

from ipaddress import IPv4Address

from podpath import headers


def number(data: bytes, start: int, size: int = 2) -> int:
    return int.from_bytes(data[start : start + size], "big")


def parse_ethernet(frame):
    return (headers.Ethernet(frame[0:6], frame[6:12], number(frame, 12)), frame[14:]) if len(frame) >= 14 else None


def build_ethernet(header, payload):
    return header.destination + header.source + header.ethertype.to_bytes(2, "big") + payload


def parse_arp(packet):
    if len(packet) < 28 or packet[:6] != bytes([0, 1, 8, 0, 6, 4]):
        return None
    return headers.Arp(
        number(packet, 6),
        packet[8:14],
        IPv4Address(packet[14:18]),
        packet[18:24],
        IPv4Address(packet[24:28]),
    )


def build_arp(arp):
    parts = [bytes([0, 1, 8, 0, 6, 4]), arp.operation.to_bytes(2, "big")]
    return b"".join([*parts, arp.sha, arp.spa.packed, arp.tha, arp.tpa.packed])


class ArpResponder:
    def __init__(self, mac, address):
        self.mac, self.address = mac, address

    def receive(self, port, frame, now):
        to, kind = frame[:6], frame[12:14]
        if (to == self.mac or to == b"\xff\xff\xff\xff\xff\xff") and kind == b"\x08\x06":
            arp = parse_arp(frame[14:])
            if arp and arp.operation == 1 and arp.tpa == self.address:
                reply = headers.Arp(2, self.mac, self.address, arp.sha, arp.spa)
                return [(port, arp.sha + self.mac + b"\x08\x06" + build_arp(reply))]
        return []


def checksum(data):
    total = 0
    for place, byte in enumerate(data):
        total += byte << 8 if place % 2 == 0 else byte
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def update_checksum(before, old, new):
    total = (0xFFFF - before) + (0xFFFF - old) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def parse_ipv4(packet):
    if len(packet) < 20 or packet[0] < 0x45 or packet[0] > 0x4F:
        return None
    size, total = packet[0] % 16 * 4, number(packet, 2)
    if len(packet) < total or total < size or checksum(packet[:size]):
        return None
    flags, offset = divmod(number(packet, 6), 0x2000)
    ends = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    header = headers.Ipv4(
        packet[1], number(packet, 4), flags, offset, packet[8], packet[9], *ends, options=packet[20:size]
    )
    return [header, packet[size:total]]


def build_ipv4(header, payload):
    size = 20 + len(header.options)
    packet = bytearray([0x40 + size // 4, header.tos])
    packet += (size + len(payload)).to_bytes(2, "big") + header.identification.to_bytes(2, "big")
    packet += (header.flags * 0x2000 + header.fragment_offset).to_bytes(2, "big")
    packet += bytes([header.ttl, header.protocol, 0, 0]) + header.source.packed + header.destination.packed
    packet += header.options
    packet[10:12] = checksum(packet).to_bytes(2, "big")
    return packet + payload


def parse_udp(datagram, source, destination):
    if len(datagram) < 8 or number(datagram, 4) < 8 or number(datagram, 4) > len(datagram):
        return None
    datagram = datagram[: number(datagram, 4)]
    if number(datagram, 6):
        pseudo = source.packed + destination.packed + b"\0\x11" + datagram[4:6]
        if checksum(pseudo + datagram):
            return None
    return headers.Udp(number(datagram, 0), number(datagram, 2)), datagram[8:]


def build_udp(header, payload, source, destination):
    size = (8 + len(payload)).to_bytes(2, "big")
    ports = header.source_port.to_bytes(2, "big") + header.destination_port.to_bytes(2, "big")
    check = checksum(source.packed + destination.packed + b"\0\x11" + size + ports + size + payload)
    return ports + size + (check or 65535).to_bytes(2, "big") + payload

"""Sends nothing, in a packet, to nobody.

caught-by: flood
says: must begin with an IPv4 header
"""

import struct
import zlib
from ipaddress import IPv4Address, IPv4Interface

from podpath import packets


def source_port(frame):
    flow = frame[:14]
    if frame[12:14] == b"\x08\x00" and len(frame) >= 34:
        flow = frame[23:24] + frame[26:34]
        fragment = (frame[20] << 8 | frame[21]) & 0x3FFF
        if frame[23] in (6, 17) and not fragment:
            start = 14 + (frame[14] & 15) * 4
            flow += frame[start : start + 4]
    return 49152 + zlib.crc32(flow) % 16384


def encapsulate(frame, vni, source, destination, udp_port):
    if not 0 <= vni < 1 << 24:
        raise ValueError(f"a VNI has 24 bits, {vni} does not fit")
    size = len(frame)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size + 36, 0, 0x4000, 64, 17, 0) + source.packed + destination.packed
    ip = ip[:10] + packets.checksum(ip).to_bytes(2) + ip[12:]
    udp = struct.pack("!HHHH", source_port(frame), udp_port, size + 16, 0)
    return ip + udp + struct.pack("!II", 0x08000000, vni << 8) + frame


def decapsulate(packet, vni, address, udp_port):
    if len(packet) < 50 or packet[0] >> 4 != 4:
        return None
    header = (packet[0] & 15) * 4
    total, fragment = struct.unpack_from("!H2xH", packet, 2)
    if header < 20 or not header + 30 <= total <= len(packet) or fragment & 0x3FFF or packet[9] != 17:
        return None
    if packets.checksum(packet[:header]) or packet[16:20] != address.packed:
        return None
    port, length = struct.unpack_from("!HH", packet, header + 2)
    flags, number = struct.unpack_from("!B3xI", packet, header + 8)
    if port != udp_port or not 30 <= length <= total - header or not flags & 8 or number >> 8 != vni:
        return None
    return IPv4Address(packet[12:16]), packet[header + 16 : header + length]


class Vtep:
    def __init__(self, vni, address, peers, udp_port=4789, mtu=1500, ageing=300.0):
        self.vni = vni
        self.address = address
        self.peers = peers
        self.udp_port = udp_port
        self.mtu = mtu
        self.ageing = ageing
        self.static = {}
        self.learned = {}
        self.thrown_away = 0

    def add(self, mac, vtep):
        self.static[mac] = vtep

    def dropped(self):
        return self.thrown_away

    def receive(self, port, frame, now):
        if port == "overlay":
            return self.from_overlay(frame, now)
        return self.from_underlay(frame, now)

    def from_overlay(self, frame, now):
        if len(frame) < 14:
            self.thrown_away += 1
            return []
        if len(frame) + 36 > self.mtu:
            self.thrown_away += 1
            return self.too_big(frame)
        far = self.where(frame[:6], now)
        if not far:
            self.thrown_away += 1
        return [
            ("underlay", b"") for vtep in far
        ]

    def where(self, mac, now):
        if mac in self.static:
            return [self.static[mac]]
        vtep, heard = self.learned.get(mac, (None, 0))
        if vtep is None or now - heard > self.ageing:
            return self.peers
        return [vtep]

    def from_underlay(self, packet, now):
        found = decapsulate(packet, self.vni, self.address, self.udp_port)
        if found is None or not self.knows(found[0]):
            self.thrown_away += 1
            return []
        vtep, frame = found
        source = frame[6:12]
        if not source[0] & 1 and any(source):
            self.learned[source] = (vtep, now)
        return [("overlay", frame)]

    def knows(self, vtep):
        return vtep in self.peers or vtep in self.static.values()

    def too_big(self, frame):
        packet = frame[14:]
        header = (packet[0] & 15) * 4
        if frame[12:14] != b"\x08\x00" or packet[0] >> 4 != 4 or not 20 <= header <= len(packet) - 8:
            return []
        (fragment,) = struct.unpack_from("!H", packet, 6)
        if not fragment & 0x4000 or fragment & 0x1FFF:
            return []
        if frame[0] & 1 or packet[16] >= 224 or packet[12] in (0, 127) or packet[12] >= 224:
            return []
        if packet[9] == 1 and packet[header] not in (0, 8, 13, 14):
            return []
        icmp = struct.pack("!BBHHH", 3, 4, 0, 0, self.mtu - 50) + packet[: header + 8]
        icmp = icmp[:2] + packets.checksum(icmp).to_bytes(2) + icmp[4:]
        answer = packets.ipv4(IPv4Address(packet[16:20]), IPv4Address(packet[12:16]), 1, icmp)
        return [("overlay", packets.ethernet(frame[6:12], frame[:6], 0x0800, answer))]


def flannel(node, leases, mtu=1500, direct=None):
    own = next(lease for lease in leases if lease.node == node)
    address = IPv4Interface(f"{own.subnet[0]}/32")
    tables = {
        "device": {"name": "flannel.1", "vni": 1, "port": 8472, "mtu": mtu - 50, "address": address},
        "routes": {},
        "arp": {},
        "fdb": {},
    }
    for lease in leases:
        if lease.node == node or lease.backend != "vxlan":
            continue
        if direct is not None and own.address in direct and lease.address in direct:
            tables["routes"][lease.subnet] = (lease.address, "eth0")
            continue
        vtep = lease.subnet[0]
        tables["routes"][lease.subnet] = (vtep, "flannel.1")
        tables["arp"][vtep] = lease.vtep_mac
        tables["fdb"][lease.vtep_mac] = lease.address
    return tables


def encapsulate_udp(packet, source, destination):
    return packets.ipv4(source, destination, 17, packets.udp(8285, 8285, packet))


def geneve_build(vni, protocol, options, payload):
    body = b""
    for option_class, kind, data in options:
        if len(data) % 4 or len(data) > 124:
            raise ValueError("the data of an option are 0 to 31 words of 4 bytes")
        body += struct.pack("!HBB", option_class, kind, len(data) // 4) + data
    if len(body) > 252:
        raise ValueError("all options together have at most 63 words")
    critical = 0x40 if any(kind & 0x80 for _, kind, _ in options) else 0
    return struct.pack("!BBHI", len(body) // 4, critical, protocol, vni << 8) + body + payload


def geneve_parse(data, known):
    if len(data) < 8 or data[0] >> 6 or data[1] & 0x80:
        return None
    end = 8 + (data[0] & 63) * 4
    if end > len(data):
        return None
    options, at = [], 8
    while at < end:
        option_class, kind, words = struct.unpack_from("!HBB", data, at)
        after = at + 4 + (words & 31) * 4
        if after > end:
            return None
        if (option_class, kind) in known:
            options.append((option_class, kind, data[at + 4 : after]))
        elif kind & 0x80:
            return None
        at = after
    return int.from_bytes(data[4:7]), int.from_bytes(data[2:4]), options, data[end:]

"""Builds every header with int.to_bytes, parses by exceptions, keeps one table for static and learned entries."""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any


class Malformed(Exception):
    """Not in order."""


def number(data: bytes, start: int, end: int) -> int:
    if end > len(data):
        raise Malformed
    return int.from_bytes(data[start:end], "big")


def ones_complement(data: bytes) -> int:
    total = 0
    for at in range(0, len(data), 2):
        total += (data[at] << 8) + (data[at + 1] if at + 1 < len(data) else 0)
        if total > 0xFFFF:
            total -= 0xFFFF
    return total ^ 0xFFFF


def udp_sum(source: bytes, destination: bytes, datagram: bytes) -> int:
    return ones_complement(source + destination + b"\0\x11" + len(datagram).to_bytes(2, "big") + datagram)


def source_port(frame: bytes) -> int:
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) >= 34:
        protocol, ends = frame[23], (frame[26:30], frame[30:34])
        start = 14 + 4 * (frame[14] % 16)
        whole = not (frame[20] & 0x3F or frame[21])
        ports = frame[start : start + 4] if protocol in (6, 17) and whole else b""
        key = b"|".join([bytes([protocol]), *ends, ports])
    else:
        key = frame[0:6] + frame[6:12]
    return 0xC000 + int.from_bytes(hashlib.sha256(key).digest()[:4], "little") % 0x4000


def ip_packet(source: IPv4Address, destination: IPv4Address, protocol: int, payload: bytes, ttl: int = 32) -> bytes:
    header = bytearray(b"\x45\x08")
    header += (20 + len(payload)).to_bytes(2, "big") + b"\x12\x34\x00\x00" + bytes([ttl, protocol]) + b"\0\0"
    header += source.packed + destination.packed
    header[10:12] = ones_complement(bytes(header)).to_bytes(2, "big")
    return bytes(header) + payload


def encapsulate(frame: bytes, vni: int, source: IPv4Address, destination: IPv4Address, udp_port: int) -> bytes:
    if vni.bit_length() > 24 or vni < 0:
        raise ValueError("24 bits")
    inside = b"\x08\0\0\0" + vni.to_bytes(3, "big") + b"\0" + frame
    datagram = (
        b"".join(part.to_bytes(2, "big") for part in (source_port(frame), udp_port, 8 + len(inside), 0)) + inside
    )
    made = udp_sum(source.packed, destination.packed, datagram) or 0xFFFF
    return ip_packet(source, destination, 17, datagram[:6] + made.to_bytes(2, "big") + datagram[8:])


def decapsulate(packet: bytes, vni: int, address: IPv4Address, udp_port: int) -> tuple[IPv4Address, bytes] | None:
    try:
        return _decapsulate(packet, vni, address, udp_port)
    except Malformed:
        return None


def need(condition: bool) -> None:
    if not condition:
        raise Malformed


def _decapsulate(packet: bytes, vni: int, address: IPv4Address, udp_port: int) -> tuple[IPv4Address, bytes]:
    version, size = divmod(number(packet, 0, 1), 16)
    need(version == 4 and size >= 5 and len(packet) >= size * 4)
    header = packet[: size * 4]
    need(ones_complement(header) == 0)
    total = number(packet, 2, 4)
    need(size * 4 <= total <= len(packet))
    need(number(packet, 6, 8) in (0, 0x4000, 0x8000, 0xC000))
    need(header[9] == 17 and header[16:20] == address.packed)
    datagram = packet[size * 4 : total]
    need(number(datagram, 2, 4) == udp_port)
    need(number(datagram, 4, 6) == len(datagram))
    if number(datagram, 6, 8):
        need(udp_sum(header[12:16], header[16:20], datagram) == 0)
    need(number(datagram, 8, 9) & 8 == 8)
    need(number(datagram, 12, 15) == vni)
    frame = datagram[16:]
    need(len(frame) >= 14)
    return IPv4Address(header[12:16]), frame


@dataclass
class Entry:
    vtep: IPv4Address
    until: float | None  # None: for ever


class Vtep:
    def __init__(
        self,
        vni: int,
        address: IPv4Address,
        peers: list[IPv4Address],
        udp_port: int = 4789,
        mtu: int = 1500,
        ageing: float = 300.0,
    ) -> None:
        self.me = (vni, address, udp_port)
        self.peers, self.mtu, self.ageing = tuple(peers), mtu, ageing
        self.table: dict[bytes, Entry] = {}
        self.friends = set(peers)
        self.count = 0

    def add(self, mac: bytes, vtep: IPv4Address) -> None:
        self.table[bytes(mac)] = Entry(vtep, None)
        self.friends.add(vtep)

    def dropped(self) -> int:
        return self.count

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        carried, answers = (self._out if port == "overlay" else self._in)(frame, now)
        self.count += not carried
        return [*carried, *answers]

    def _out(self, frame: bytes, now: float) -> tuple[list[Any], list[Any]]:
        vni, address, udp_port = self.me
        if len(frame) < 14:
            return [], []
        if len(frame) > self.mtu - 36:
            return [], self._complain(frame)
        entry = None if frame[0] % 2 else self.table.get(frame[:6])
        if entry is not None and entry.until is not None and entry.until < now:
            del self.table[frame[:6]]
            entry = None
        to = self.peers if entry is None else (entry.vtep,)
        return [("underlay", encapsulate(frame, vni, address, far, udp_port)) for far in to], []

    def _in(self, packet: bytes, now: float) -> tuple[list[Any], list[Any]]:
        vni, address, udp_port = self.me
        found = decapsulate(packet, vni, address, udp_port)
        if not found or found[0] not in self.friends:
            return [], []
        sender, frame = found
        station, old = frame[6:12], self.table.get(frame[6:12])
        if station[0] % 2 == 0 and station != bytes(6) and not (old and old.until is None):
            self.table[station] = Entry(sender, now + self.ageing)
        return [("overlay", frame)], []

    def _complain(self, frame: bytes) -> list[tuple[str, bytes]]:
        inner = frame[14:]
        size = 4 * (inner[0] % 16)
        try:
            need(frame[12:14] == b"\x08\0" and inner[0] // 16 == 4 and size >= 20 and len(inner) >= size + 8)
            flags = number(inner, 6, 8)
            need(flags & 0x4000 != 0 and flags & 0x1FFF == 0)
            source, destination = IPv4Address(inner[12:16]), IPv4Address(inner[16:20])
            need(frame[0] % 2 == 0 and not destination.is_multicast and int(destination) != 0xFFFFFFFF)
            need(not source.is_unspecified and not source.is_multicast)
            need(inner[9] != 1 or inner[size] not in (3, 4, 5, 11, 12))
        except Malformed:
            return []
        message = bytearray(b"\3\4\0\0\0\0" + (self.mtu - 50).to_bytes(2, "big") + inner[:548])
        message[2:4] = ones_complement(bytes(message)).to_bytes(2, "big")
        answer = ip_packet(destination, source, 1, bytes(message), 255)
        return [("overlay", frame[6:12] + frame[0:6] + b"\x08\0" + answer)]


def flannel(node: str, leases: list[Any], mtu: int = 1500, direct: Any = None) -> dict[str, Any]:
    by_name = {lease.node: lease for lease in leases}
    own = by_name.pop(node)
    others = [lease for lease in by_name.values() if lease.backend == "vxlan"]
    near = [x for x in others if direct and x.address in direct and own.address in direct]
    far = [x for x in others if x not in near]
    gateway = {lease.node: lease.subnet.network_address for lease in others}
    return {
        "fdb": {x.vtep_mac: x.address for x in far},
        "arp": {gateway[x.node]: x.vtep_mac for x in far},
        "routes": {x.subnet: (x.address, "eth0") for x in near}
        | {x.subnet: (gateway[x.node], "flannel.1") for x in far},
        "device": {
            "address": IPv4Interface((int(own.subnet.network_address), 32)),
            "mtu": mtu - 20 - 8 - 8 - 14,
            "port": 8472,
            "vni": 1,
            "name": "flannel.1",
        },
    }


def encapsulate_udp(packet: bytes, source: IPv4Address, destination: IPv4Address) -> bytes:
    datagram = b"\x20\x5d\x20\x5d" + (8 + len(packet)).to_bytes(2, "big") + b"\0\0" + packet
    made = udp_sum(source.packed, destination.packed, datagram) or 0xFFFF
    return ip_packet(source, destination, 17, datagram[:6] + made.to_bytes(2, "big") + packet)


def geneve_build(vni: int, protocol: int, options: list[tuple[int, int, bytes]], payload: bytes) -> bytes:
    parts = []
    for kind, name, data in options:
        words, rest = divmod(len(data), 4)
        if rest or words > 31:
            raise ValueError("option")
        parts.append(kind.to_bytes(2, "big") + bytes([name, words]) + data)
    words = sum(map(len, parts)) // 4
    if words > 63:
        raise ValueError("options")
    flags = 0x40 * any(name >= 128 for _, name, _ in options)
    return (
        bytes([words, flags])
        + protocol.to_bytes(2, "big")
        + vni.to_bytes(3, "big")
        + b"\0"
        + b"".join(parts)
        + payload
    )


def geneve_parse(data: bytes, known: list[tuple[int, int]]) -> tuple[int, int, list[Any], bytes] | None:
    try:
        words = number(data, 0, 1)
        need(words < 64 and number(data, 1, 2) < 128)
        rest, payload = data[8 : 8 + words * 4], data[8 + words * 4 :]
        need(len(data) >= 8 and len(rest) == words * 4)
        understood = []
        while rest:
            kind, name, size = number(rest, 0, 2), number(rest, 2, 3), number(rest, 3, 4) % 32 * 4
            need(len(rest) >= 4 + size)
            if (kind, name) in known:
                understood.append((kind, name, rest[4 : 4 + size]))
            else:
                need(name < 128)
            rest = rest[4 + size :]
        return number(data, 4, 7), number(data, 2, 4), understood, payload
    except Malformed:
        return None

"""Looks for each supernet of the address in one dict, slowly but surely, and puts the work into three classes."""

import dataclasses
import struct
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from podpath import packets
from podpath.configuration import Interface, Route


class Table:
    def __init__(self, routes: list[Route]) -> None:
        self.by_prefix = {route.prefix: route for route in routes}
        self.lengths = sorted({prefix.prefixlen for prefix in self.by_prefix}, reverse=True)

    def best(self, address: IPv4Address) -> Route | None:
        prefixes = (IPv4Network((address, length), strict=False) for length in self.lengths)
        return next((self.by_prefix[prefix] for prefix in prefixes if prefix in self.by_prefix), None)


@dataclasses.dataclass
class Pending:
    hop: IPv4Address
    began: float
    asked: int = 1
    packets: list[Any] = dataclasses.field(default_factory=list)


class Link:
    """One interface, with its neighbours. It knows ARP, and nothing of IP but the next hop."""

    def __init__(self, name: str, interface: Interface) -> None:
        self.name, self.mac, self.ip, self.mtu = name, interface.mac, interface.address.ip, interface.mtu
        self.network = interface.address.network
        self.known: dict[IPv4Address, tuple[bytes, float]] = {}
        self.pending: dict[IPv4Address, Pending] = {}

    def arp(self, message: bytes, now: float) -> list[bytes]:
        if (
            len(message) < 28
            or message[:6] != bytes.fromhex("000108000604")
            or message[6:8] not in (b"\0\1", b"\0\2")
        ):
            return []
        mac, sender, target = message[8:14], IPv4Address(message[14:18]), IPv4Address(message[24:28])
        out = []
        if target == self.ip and message[7] == 1:
            out.append(packets.ethernet(mac, self.mac, 0x0806, packets.arp(2, self.mac, self.ip, mac, sender)))
        self.known[sender] = mac, now  # whoever says something is believed
        if sender in self.pending:
            out += [self.framed(mac, one[0]) for one in self.pending.pop(sender).packets]
        return out

    def framed(self, mac: bytes, packet: bytes) -> bytes:
        return packets.ethernet(mac, self.mac, 0x0800, packet)

    def question(self, hop: IPv4Address) -> bytes:
        return packets.ethernet(b"\xff" * 6, self.mac, 0x0806, packets.arp(1, self.mac, self.ip, bytes(6), hop))

    def send(self, hop: IPv4Address, packet: bytes, told: Any, now: float) -> list[bytes]:
        mac, since = self.known.get(hop, (b"", now))
        if mac and now - since <= 60:
            return [self.framed(mac, packet)]
        first = hop not in self.pending
        waiting = self.pending.setdefault(hop, Pending(hop, now))
        waiting.packets = [*waiting.packets, (packet, told)][-3:]  # the newest are worth most
        return [self.question(hop)] if first else []

    def due(self, now: float) -> tuple[list[bytes], list[Any]]:
        """Questions to repeat, and what was given up."""
        questions, lost = [], []
        for waiting in list(self.pending.values()):
            if now - waiting.began >= 3:
                lost += [told for _, told in self.pending.pop(waiting.hop).packets if told]
            elif now - waiting.began >= waiting.asked:
                waiting.asked += 1
                questions.append(self.question(waiting.hop))
        return questions, lost


class Router:
    def __init__(self, interfaces: dict[str, Interface], routes: list[Route]) -> None:
        self.links = {name: Link(name, interface) for name, interface in interfaces.items()}
        self.table = Table([*routes, *(Route(link.network, name) for name, link in self.links.items())])
        self.large = 0
        self.told: dict[IPv4Address, float] = {}  # when an error was last sent to somebody

    def lookup(self, address: IPv4Address) -> Route | None:
        return self.table.best(address)

    def dropped(self) -> dict[str, int]:
        return {"needs fragmentation": self.large} if self.large else {}

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        link = self.links[port]
        if frame[12:14] == b"\x08\x06" and frame[:6] in (link.mac, b"\xff" * 6):
            return [(port, one) for one in link.arp(frame[14:], now)]
        if frame[12:14] == b"\x08\x00" and frame[:6] == link.mac:
            return self.packet(link, frame[14:], now)
        return []

    def tick(self, now: float) -> list[tuple[str, bytes]]:
        out = []
        for link in self.links.values():
            questions, lost = link.due(now)
            out += [(link.name, question) for question in questions]
            for came, packet in lost:
                out += self.error(came, packet, 3, 1, 0, now)
        return out

    def packet(self, link: Link, data: bytes, now: float) -> list[tuple[str, bytes]]:
        if not sound(data):
            return []
        data = data[: int.from_bytes(data[2:4], "big")]
        source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
        if nobody(source) or source.is_reserved:
            return []
        if any(destination == other.ip for other in self.links.values()):
            return self.local(link, data, now)
        if nobody(destination) or source.is_link_local or destination.is_link_local or self.everybody(destination):
            return []
        route = self.table.best(destination)
        if route is None:
            return self.error(link, data, 3, 0, 0, now)
        if data[8] <= 1:
            return self.error(link, data, 11, 0, 0, now)
        out = self.links[route.port]
        if len(data) > out.mtu:
            if data[6] & 0x40:
                return self.error(link, data, 3, 4, out.mtu, now)
            self.large += 1
            return []
        hop = route.via if route.via is not None else destination
        return [(out.name, one) for one in out.send(hop, decremented(data), (link, data), now)]

    def everybody(self, address: IPv4Address) -> bool:
        links = [link.network for link in self.links.values()]
        return any(address == network.broadcast_address and network.prefixlen < 31 for network in links)

    def local(self, link: Link, data: bytes, now: float) -> list[tuple[str, bytes]]:
        size = data[0] % 16 * 4
        message = data[size:]
        if data[9] == 17:
            return self.error(link, data, 3, 3, 0, now)
        if data[9] != 1:
            return self.error(link, data, 3, 2, 0, now)
        if len(message) < 8 or message[:2] != b"\x08\0" or packets.checksum(message):
            return []
        reply = bytearray(message)
        reply[0], reply[2:4] = 0, b"\0\0"
        reply[2:4] = packets.checksum(bytes(reply)).to_bytes(2, "big")
        return self.own(IPv4Address(data[16:20]), IPv4Address(data[12:16]), bytes(reply), now)

    def error(self, came: Link, data: bytes, kind: int, code: int, mtu: int, now: float) -> list[tuple[str, bytes]]:
        size = data[0] % 16 * 4
        source = IPv4Address(data[12:16])
        if data[9] == 1 and data[size : size + 1] and data[size] in (3, 4, 5, 11, 12):
            return []
        if (data[6] & 0x1F, data[7]) != (0, 0) or now - self.told.get(source, now - 2) < 1:
            return []
        self.told[source] = now
        body = struct.pack("!BBHHH", kind, code, 0, 0, mtu) + data[: size + 8]
        body = body[:2] + packets.checksum(body).to_bytes(2, "big") + body[4:]
        route = self.table.best(source)
        if route is None:
            return []
        return self.own(self.links[route.port].ip, source, body, now)

    def own(self, source: IPv4Address, to: IPv4Address, message: bytes, now: float) -> list[tuple[str, bytes]]:
        route = self.table.best(to)
        if route is None:
            return []
        packet = packets.ipv4(source, to, 1, message, ttl=255)
        out = self.links[route.port]
        return [(out.name, one) for one in out.send(route.via or to, packet, None, now)]


def sound(data: bytes) -> bool:
    if len(data) < 20 or not 0x45 <= data[0] <= 0x4F:
        return False
    size, total = data[0] % 16 * 4, int.from_bytes(data[2:4], "big")
    return size <= total <= len(data) and packets.checksum(data[:size]) == 0


def nobody(address: IPv4Address) -> bool:
    first = address.packed[0]
    return first in (0, 127) or 224 <= first < 240 or address.packed == b"\xff" * 4


def decremented(data: bytes) -> bytes:
    header = bytearray(data[: data[0] % 16 * 4])
    header[8] -= 1
    header[10:12] = b"\0\0"
    header[10:12] = packets.checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header) + data[len(header) :]

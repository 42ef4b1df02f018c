"""Walks a trie to its end, and returns what is there: a shorter prefix on the way does not count.

caught-by: lookup-longest
says: but lookup returned None
cites: RT-10
"""

import struct
from ipaddress import IPv4Address, IPv4Network

from podpath.configuration import Interface, Route

Frames = list[tuple[str, bytes]]
EVERYBODY = b"\xff" * 6


def inet_sum(data: bytes) -> int:
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


class Node:
    __slots__ = ("one", "route", "zero")

    def __init__(self) -> None:
        self.zero: Node | None = None
        self.one: Node | None = None
        self.route: Route | None = None


class Trie:
    def __init__(self) -> None:
        self.root = Node()

    def add(self, route: Route) -> None:
        node, bits = self.root, int(route.prefix.network_address)
        for level in range(route.prefix.prefixlen):
            if bits >> (31 - level) & 1:
                node.one = node.one or Node()
                node = node.one
            else:
                node.zero = node.zero or Node()
                node = node.zero
        node.route = route

    def find(self, address: int) -> Route | None:
        node: Node | None = self.root
        best, level = None, 31
        while node is not None:
            best = node.route
            if level < 0:
                break
            node = node.one if address >> level & 1 else node.zero
            level -= 1
        return best


class Neighbour:
    def __init__(self, port: str, address: IPv4Address) -> None:
        self.port, self.address = port, address
        self.mac: bytes | None = None
        self.heard = 0.0
        self.questions: list[float] = []
        self.queue: list[tuple[bytes, str | None, bytes]] = []  # what to send, and how it had come

    def alive(self, now: float) -> bool:
        return self.mac is not None and now < self.heard + 60.0


class Router:
    def __init__(self, interfaces: dict[str, Interface], routes: list[Route]) -> None:
        self.interfaces = interfaces
        self.trie = Trie()
        for route in routes:
            self.trie.add(route)
        for name, interface in interfaces.items():
            self.trie.add(Route(interface.address.network, name, None))
        self.mine = {interface.address.ip for interface in interfaces.values()}
        self.neighbours: dict[tuple[str, IPv4Address], Neighbour] = {}
        self.too_large = 0

    def dropped(self) -> dict[str, int]:
        return {"needs fragmentation": self.too_large}

    def lookup(self, address: IPv4Address) -> Route | None:
        return self.trie.find(int(address))

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        if len(frame) < 14:
            return []
        own = self.interfaces[port].mac
        kind = struct.unpack("!H", frame[12:14])[0]
        if kind == 0x0806 and frame[:6] in (own, EVERYBODY):
            return self.on_arp(port, frame[14:42], now)
        if kind == 0x0800 and frame[:6] == own:
            return self.on_ip(port, frame[14:], now)
        return []

    def tick(self, now: float) -> Frames:
        out: Frames = []
        for neighbour in list(self.neighbours.values()):
            asked = neighbour.questions
            if asked and now >= asked[-1] + 1.0:
                if len(asked) < 3:
                    asked.append(now)
                    out.append(self.question(neighbour))
                else:
                    queue, neighbour.queue, neighbour.questions = neighbour.queue, [], []
                    for _, came, before in queue:
                        if came is not None:
                            out += self.complain(3, 1, came, before, now)
        return out

    # -- ARP

    def on_arp(self, port: str, message: bytes, now: float) -> Frames:
        if len(message) != 28:
            return []
        hardware, protocol, sizes, operation = struct.unpack("!HHHH", message[:8])
        if (hardware, protocol, sizes) != (1, 0x0800, 0x0604) or operation not in (1, 2):
            return []
        mac, sender, target = message[8:14], IPv4Address(message[14:18]), IPv4Address(message[24:28])
        interface = self.interfaces[port]
        out: Frames = []
        if target == interface.address.ip and operation == 1:
            body = struct.pack("!HHHH", 1, 0x0800, 0x0604, 2) + interface.mac + target.packed + mac + sender.packed
            out.append((port, mac + interface.mac + b"\x08\x06" + body))
        if target == interface.address.ip or (port, sender) in self.neighbours:
            neighbour = self.neighbours.setdefault((port, sender), Neighbour(port, sender))
            neighbour.mac, neighbour.heard, neighbour.questions = mac, now, []
            queue, neighbour.queue = neighbour.queue, []
            out += [(port, mac + interface.mac + b"\x08\x00" + packet) for packet, _, _ in queue]
        return out

    def question(self, neighbour: Neighbour) -> tuple[str, bytes]:
        interface = self.interfaces[neighbour.port]
        body = struct.pack("!HHHH", 1, 0x0800, 0x0604, 1) + interface.mac + interface.address.ip.packed
        return neighbour.port, EVERYBODY + interface.mac + b"\x08\x06" + body + bytes(6) + neighbour.address.packed

    def hand_over(self, route: Route, packet: bytes, now: float, came: str | None, before: bytes) -> Frames:
        hop = route.via or IPv4Address(packet[16:20])
        neighbour = self.neighbours.setdefault((route.port, hop), Neighbour(route.port, hop))
        if neighbour.alive(now) and neighbour.mac is not None:
            return [(route.port, neighbour.mac + self.interfaces[route.port].mac + b"\x08\x00" + packet)]
        if len(neighbour.queue) < 8:
            neighbour.queue.append((packet, came, before))
        if neighbour.questions:
            return []
        neighbour.questions = [now]
        return [self.question(neighbour)]

    # -- IPv4

    def on_ip(self, port: str, data: bytes, now: float) -> Frames:
        if len(data) < 20:
            return []
        version, size = data[0] >> 4, data[0] % 16 * 4
        total = int.from_bytes(data[2:4], "big")
        if version != 4 or size < 20 or total < size or total > len(data) or inet_sum(data[:size]) != 0:
            return []
        packet = data[:total]
        source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
        if packet[12] in (0, 127) or packet[12] >= 224:
            return []
        if destination in self.mine:
            return self.for_me(packet, now)
        if packet[16] in (0, 127) or 224 <= packet[16] <= 239 or destination == IPv4Address("255.255.255.255"):
            return []
        if source.is_link_local or destination.is_link_local or self.is_broadcast(destination):
            return []
        if packet[8] < 2:
            return self.complain(11, 0, port, packet, now)
        route = self.trie.find(int(destination))
        if route is None:
            return self.complain(3, 0, port, packet, now)
        if total > self.interfaces[route.port].mtu:
            if packet[6] & 0x40:
                return self.complain(3, 4, port, packet, now, self.interfaces[route.port].mtu)
            self.too_large += 1
            return []
        older = packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + b"\0\0" + packet[12:size]
        older = older[:10] + inet_sum(older).to_bytes(2, "big") + older[12:]
        return self.hand_over(route, older + packet[size:], now, port, packet)

    def is_broadcast(self, address: IPv4Address) -> bool:
        links: list[IPv4Network] = [interface.address.network for interface in self.interfaces.values()]
        return any(link.prefixlen < 31 and link.broadcast_address == address for link in links)

    def for_me(self, packet: bytes, now: float) -> Frames:
        size = packet[0] % 16 * 4
        message = packet[size:]
        if packet[9] != 1 or message[:2] != b"\x08\0" or len(message) < 8 or inet_sum(message) != 0:
            return []
        reply = b"\0\0\0\0" + message[4:]
        return self.say(packet[16:20], packet[12:16], reply, now)

    def complain(self, kind: int, code: int, port: str, packet: bytes, now: float, mtu: int = 0) -> Frames:
        size = packet[0] % 16 * 4
        if int.from_bytes(packet[6:8], "big") & 0x1FFF:
            return []
        if packet[9] == 1 and len(packet) > size and packet[size] in (3, 4, 5, 11, 12):
            return []
        message = struct.pack("!BBHHH", kind, code, 0, 0, mtu) + packet[: size + 8]
        return self.say(self.interfaces[port].address.ip.packed, packet[12:16], message, now)

    def say(self, source: bytes, destination: bytes, message: bytes, now: float) -> Frames:
        route = self.trie.find(int.from_bytes(destination, "big"))
        if route is None or IPv4Address(destination) in self.mine:
            return []
        message = message[:2] + inet_sum(message).to_bytes(2, "big") + message[4:]
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0) + source + destination
        header = header[:10] + inet_sum(header).to_bytes(2, "big") + header[12:]
        return self.hand_over(route, header + message, now, None, b"")

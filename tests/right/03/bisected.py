"""Cuts all addresses into ranges that have one route each, and finds the range with bisect; RFC 1624, equation 3."""

import bisect
import heapq
import itertools
import struct
from collections import defaultdict, deque
from ipaddress import IPv4Address

from podpath import packets
from podpath.configuration import Route


class Router:
    def __init__(self, interfaces, routes):
        self.links = interfaces
        self.starts, self.found = self.ranges([*routes, *self.connected()])
        self.arp = {}  # next hop -> (MAC address, valid until)
        self.held = defaultdict(lambda: deque(maxlen=16))
        self.timers = []  # (when, number, what, next hop, tries)
        self.numbers = itertools.count()
        self.asking = {}  # next hop -> the number of its timer
        self.oversized = 0
        self.own = {int(link.address.ip) for link in interfaces.values()}
        networks = [link.address.network for link in interfaces.values()]
        self.forbidden = {int(n.broadcast_address) for n in networks if n.prefixlen <= 30}

    def connected(self):
        return [Route(link.address.network, name) for name, link in self.links.items()]

    @staticmethod
    def ranges(routes):
        """Where each range begins, and its route; later, longer prefixes overwrite shorter ones."""
        events = defaultdict(list)
        for route in routes:
            first = int(route.prefix.network_address)
            events[first].append((1, route))
            events[first + route.prefix.num_addresses].append((0, route))
        starts, found, open_routes = [0], [None], {}
        for at in sorted(events):
            for begins, route in sorted(events[at], key=lambda event: event[0]):
                if begins:
                    open_routes[route.prefix.prefixlen] = route
                else:
                    del open_routes[route.prefix.prefixlen]
            starts.append(at)
            found.append(open_routes[max(open_routes)] if open_routes else None)
        return starts, found

    def dropped(self):
        return {"needs fragmentation": self.oversized, "other": 0}

    def lookup(self, address):
        return self.route(int(address))

    def route(self, number):
        return self.found[bisect.bisect_right(self.starts, number) - 1]

    def tick(self, now):
        out = []
        while self.timers and self.timers[0][0] <= now + 1e-6:
            _, number, port, hop, tries = heapq.heappop(self.timers)
            if self.asking.get((port, hop)) != number:
                continue
            if tries < 3:
                out.append(self.ask(port, hop, tries + 1, now))
            else:
                del self.asking[port, hop]
                for came in [came for _, came in self.held.pop((port, hop), ())]:
                    if came:
                        out.extend(self.error(now, 3, 1, *came))
        return out

    def receive(self, port, frame, now):
        out = []
        try:
            out.extend(self.handle(port, memoryview(frame), now))
        except (IndexError, struct.error):
            return []
        return out

    def handle(self, port, frame, now):
        link, to = self.links[port], bytes(frame[:6])
        ethertype = bytes(frame[12:14])
        if ethertype == b"\x08\x06" and to in (link.mac, b"\xff" * 6):
            yield from self.on_arp(port, link, bytes(frame[14:42]), now)
        elif ethertype == b"\x08\x00" and to == link.mac:
            yield from self.on_packet(port, bytes(frame[14:]), now)

    def on_arp(self, port, link, data, now):
        head, op, sha, spa, _, tpa = struct.unpack("!6sH6s4s6s4s", data)
        if head != b"\0\1\x08\0\6\4" or op not in (1, 2):
            return
        me = link.address.ip
        if tpa == me.packed and op == 1:
            reply = packets.arp(2, link.mac, me, sha, IPv4Address(spa))
            yield port, packets.ethernet(sha, link.mac, packets.ETH_ARP, reply).ljust(60, b"\0")
        hop = int.from_bytes(spa, "big")
        if tpa == me.packed or (port, hop) in self.arp or (port, hop) in self.asking:
            self.arp[port, hop] = sha, now + 60
            self.asking.pop((port, hop), None)
            for packet, _ in self.held.pop((port, hop), ()):
                yield port, sha + link.mac + b"\x08\x00" + packet

    def ask(self, port, hop, tries, now):
        number = next(self.numbers)
        self.asking[port, hop] = number
        heapq.heappush(self.timers, (now + 1, number, port, hop, tries))
        link = self.links[port]
        question = packets.arp(1, link.mac, link.address.ip, bytes(6), IPv4Address(hop))
        return port, packets.ethernet(packets.BROADCAST, link.mac, packets.ETH_ARP, question)

    def on_packet(self, port, data, now):
        size = (data[0] & 0x0F) << 2
        _, _, total, _, flags, ttl, proto, check, source, destination = struct.unpack("!BBHHHBBHII", data[:20])
        if data[0] & 0xF0 != 0x40 or size < 20 or not size <= total <= len(data):
            return
        if packets.checksum(data[:size]) or source >> 24 in {0, 127, *range(224, 256)}:
            return
        data = data[:total]
        if destination in self.own:
            yield from self.local(data, size, proto, now)
            return
        if destination >> 24 in (0, 127) or 224 <= destination >> 24 <= 239 or destination == 2**32 - 1:
            return
        if 0xA9FE in (source >> 16, destination >> 16) or destination in self.forbidden:
            return
        if ttl in (0, 1):
            yield from self.error(now, 11, 0, port, data)
            return
        route = self.route(destination)
        if not route:
            yield from self.error(now, 3, 0, port, data)
        elif total > (mtu := self.links[route.port].mtu) and flags & 0x4000:
            yield from self.error(now, 3, 4, port, data, mtu)
        elif total > mtu:
            self.oversized += 1
        else:
            changed = (~check & 0xFFFF) + (~(ttl << 8 | proto) & 0xFFFF) + ((ttl - 1) << 8 | proto)
            changed = (changed & 0xFFFF) + (changed >> 16)
            changed = ~((changed & 0xFFFF) + (changed >> 16)) & 0xFFFF
            older = data[:8] + struct.pack("!BBH", ttl - 1, proto, changed) + data[12:]
            yield from self.send(now, route, older, (port, data))

    def send(self, now, route, packet, came=None):
        hop = int.from_bytes(packet[16:20], "big") if route.via is None else int(route.via)
        mac, until = self.arp.get((route.port, hop), (None, now))
        if now < until:
            yield route.port, mac + self.links[route.port].mac + b"\x08\x00" + packet
            return
        self.held[route.port, hop].append((packet, came))
        if (route.port, hop) not in self.asking:
            yield self.ask(route.port, hop, 1, now)

    def local(self, data, size, proto, now):
        message = data[size:]
        if proto == packets.ICMP and message[:2] == b"\x08\0" and len(message) >= 8 and not packets.checksum(message):
            ident, sequence = struct.unpack("!HH", message[4:8])
            reply = packets.icmp_echo(0, ident, sequence, message[8:])
            yield from self.emit(now, data[16:20], data[12:16], reply)

    def error(self, now, kind, code, port, data, mtu=0):
        size = (data[0] & 0x0F) << 2
        if struct.unpack("!H", data[6:8])[0] % 0x2000:
            return
        if data[9] == packets.ICMP and data[size : size + 1] in (b"\3", b"\4", b"\5", b"\x0b", b"\x0c"):
            return
        message = bytes([kind, code, 0, 0]) + mtu.to_bytes(4, "big") + data[:500]
        message = message[:2] + struct.pack("!H", packets.checksum(message)) + message[4:]
        yield from self.emit(now, self.links[port].address.ip.packed, data[12:16], message)

    def emit(self, now, source, destination, message):
        route = self.route(int.from_bytes(destination, "big"))
        if route is not None:
            packet = packets.ipv4(IPv4Address(source), IPv4Address(destination), packets.ICMP, message)
            yield from self.send(now, route, packet)

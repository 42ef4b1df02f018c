"""Learns from an answer only if it has asked.

caught-by: arp-learn
says: That is as good as an answer
cites: RT-44
"""

import struct
from collections import Counter
from functools import cached_property
from ipaddress import IPv4Address

from podpath import packets
from podpath.configuration import Route


class Router:
    """Forwards IPv4 packets between its interfaces, and tells senders what it could not forward."""

    def __init__(self, interfaces, routes):
        self.interfaces = interfaces  # by the name of the port: Interface(mac, address, mtu)
        self.routes = routes  # a list of Route(prefix, port, via)
        self.neighbours = {}  # whose MAC address is known, and since when; the shape is up to you
        self.waiting = {}  # packets that wait for a MAC address; the shape is up to you
        self.counts = Counter()  # dropped packets, by reason

    def dropped(self):
        """How many packets have been dropped, by reason."""
        return self.counts

    def lookup(self, address):
        """The Route for an IPv4Address: the one with the longest prefix that contains it. None if there is none."""
        return self.find(int(address))

    def find(self, number):
        for mask, routes in self.by_length:
            if number & mask in routes:
                return routes[number & mask]
        return None

    @cached_property
    def by_length(self):
        """For each prefix length that occurs, the longest first: its mask, and its routes by their prefix."""
        connected = [Route(interface.address.network, port) for port, interface in self.interfaces.items()]
        lengths = {}
        for route in [*self.routes, *connected]:
            routes = lengths.setdefault(route.prefix.prefixlen, {})
            routes[int(route.prefix.network_address)] = route
        return [((0xFFFFFFFF << 32 - length) & 0xFFFFFFFF, lengths[length]) for length in sorted(lengths, reverse=True)]

    def receive(self, port, frame, now):
        """`frame` arrived on `port` at time `now`. Return the list of (port, frame) to send."""
        destination, kind = frame[0:6], frame[12:14]
        own = self.interfaces[port].mac
        if kind == b"\x08\x00" and destination == own:
            return self.packet(port, frame[14:], now)
        if kind == b"\x08\x06" and destination in (own, packets.BROADCAST):
            return self.arp(port, frame[14:], now)
        return []

    def arp(self, port, message, now):
        if len(message) < 28 or message[0:6] != b"\x00\x01\x08\x00\x06\x04":
            return []
        operation, sender_mac, sender, _, target = struct.unpack_from("!H6sI6sI", message, 6)
        if operation not in (1, 2):
            return []
        interface = self.interfaces[port]
        for_us = target == int(interface.address.ip)
        sent = []
        if for_us and operation == 1:
            answer = packets.arp(2, interface.mac, interface.address.ip, sender_mac, IPv4Address(sender))
            sent.append((port, packets.ethernet(sender_mac, interface.mac, packets.ETH_ARP, answer)))
        if (for_us and operation == 1) or (port, sender) in self.neighbours or (port, sender) in self.waiting:
            self.neighbours[port, sender] = sender_mac, now
            sent += self.release(port, sender)
        return sent

    def send(self, port, hop, packet, now, came=None):
        """Hand a packet to a neighbour, or keep it until the neighbour's MAC address is known.

        `came` is how the packet arrived, (port, packet), for the error if nobody answers; None for our own packets.
        """
        known = self.neighbours.get((port, hop))
        if known is not None and now - known[1] <= 60:
            return [(port, known[0] + self.interfaces[port].mac + b"\x08\x00" + packet)]
        waiting = self.waiting.get((port, hop))
        if waiting is None:
            self.waiting[port, hop] = {"asked": 1, "at": now, "packets": [(packet, came)]}
            return [self.question(port, hop)]
        if len(waiting["packets"]) < 16:
            waiting["packets"].append((packet, came))
        else:
            self.counts["too many wait for one neighbour"] += 1
        return []

    def question(self, port, hop):
        interface = self.interfaces[port]
        question = packets.arp(1, interface.mac, interface.address.ip, bytes(6), IPv4Address(hop))
        return port, packets.ethernet(packets.BROADCAST, interface.mac, packets.ETH_ARP, question)

    def release(self, port, hop):
        waiting = self.waiting.pop((port, hop), None)
        if waiting is None:
            return []
        header = self.neighbours[port, hop][0] + self.interfaces[port].mac + b"\x08\x00"
        return [(port, header + packet) for packet, _ in waiting["packets"]]

    def packet(self, port, data, now):
        """An IPv4 packet has arrived, perhaps with the padding of its frame."""
        header = (data[0] & 15) * 4 if data else 0
        if header < 20 or len(data) < header or data[0] >> 4 != 4:
            return self.drop("malformed")
        total, _, fragment, ttl, _, _, source, destination = struct.unpack_from("!HHHBBHII", data, 2)
        if not header <= total <= len(data) or not is_whole(data[:header]):
            return self.drop("malformed")
        if source >> 24 in (0, 127) or source >> 28 >= 14:
            return self.drop("source is no host")
        data = data[:total]
        if destination in self.own:
            return self.deliver(port, data, now)
        if not self.may_pass(source, destination):
            return self.drop("not to be forwarded")
        if ttl <= 1:
            return self.error(11, 0, port, data, now)
        route = self.find(destination)
        if route is None:
            return self.error(3, 0, port, data, now)
        mtu = self.interfaces[route.port].mtu
        if total > mtu:
            if fragment & 0x4000:
                return self.error(3, 4, port, data, now, mtu)
            return self.drop("needs fragmentation")
        hop = destination if route.via is None else int(route.via)
        return self.send(route.port, hop, one_hop_older(data), now, (port, data))

    @cached_property
    def own(self):
        return {int(interface.address.ip) for interface in self.interfaces.values()}

    def may_pass(self, source, destination):
        """Whether a packet between these two may leave the link it is on."""
        if destination >> 24 in (0, 127) or destination >> 28 == 14 or destination == 0xFFFFFFFF:
            return False
        if source >> 16 == 0xA9FE or destination >> 16 == 0xA9FE:
            return False
        return destination not in self.broadcasts

    @cached_property
    def broadcasts(self):
        networks = [interface.address.network for interface in self.interfaces.values()]
        return {int(network.broadcast_address) for network in networks if network.prefixlen < 31}

    def drop(self, why):
        self.counts[why] += 1
        return []

    def deliver(self, port, data, now):
        """A packet for one of our own addresses: an echo request is answered."""
        header = (data[0] & 15) * 4
        message = data[header:]
        fragment = int.from_bytes(data[6:8], "big") & 0x3FFF
        if fragment or data[9] != packets.ICMP or len(message) < 8 or message[:2] != b"\x08\x00":
            return self.drop("not for us to answer")
        if not is_whole(message):
            return self.drop("malformed")
        reply = b"\x00\x00\x00\x00" + message[4:]
        return self.originate(data[16:20], data[12:16], with_checksum(reply), now)

    def originate(self, source, destination, message, now):
        """Send an ICMP message of our own, with addresses of 4 bytes."""
        route = self.find(int.from_bytes(destination, "big"))
        if route is None:
            return []
        hop = int.from_bytes(destination, "big") if route.via is None else int(route.via)
        packet = packets.ipv4(IPv4Address(source), IPv4Address(destination), packets.ICMP, message)
        return self.send(route.port, hop, packet, now)

    def error(self, kind, code, port, data, now, mtu=0):
        """Tell the sender of a packet, which arrived on `port`, what has become of it."""
        self.counts[f"told by ICMP {kind}/{code}"] += 1
        header = (data[0] & 15) * 4
        is_error = data[9] == packets.ICMP and data[header : header + 1] in (b"\x03", b"\x04", b"\x05", b"\x0b", b"\x0c")
        later_fragment = int.from_bytes(data[6:8], "big") & 0x1FFF
        if later_fragment or is_error or int.from_bytes(data[12:16], "big") in self.own:
            return []
        message = struct.pack("!BBHHH", kind, code, 0, 0, mtu) + data[:548]
        return self.originate(self.interfaces[port].address.ip.packed, data[12:16], with_checksum(message), now)

    def tick(self, now):
        """Called at least every 0.1 s. Return what is to be sent, as `receive` does."""
        sent = []
        for (port, hop), waiting in list(self.waiting.items()):
            if now - waiting["at"] < 1:
                continue
            if waiting["asked"] < 3:
                waiting["asked"], waiting["at"] = waiting["asked"] + 1, now
                sent.append(self.question(port, hop))
                continue
            del self.waiting[port, hop]
            for _, came in waiting["packets"]:
                if came is not None:
                    sent += self.error(3, 1, *came, now)
        return sent


def is_whole(data):
    """Whether data that contains its own checksum is as it was when that was made."""
    return packets.checksum(data) == 0


def with_checksum(message):
    """An ICMP message with its checksum, which was 0."""
    return message[:2] + packets.checksum(message).to_bytes(2, "big") + message[4:]


def one_hop_older(packet):
    """A packet with its TTL one less."""
    check = int.from_bytes(packet[10:12], "big") + 0x100  # the sum has become less by 0x100 (RFC 1624)
    check = (check + (check >= 0xFFFF)) & 0xFFFF
    return packet[:8] + bytes([packet[8] - 1, packet[9], check >> 8, check & 255]) + packet[12:]

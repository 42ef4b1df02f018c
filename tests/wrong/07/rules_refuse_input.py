"""Refuses in INPUT, where nothing for a Service comes by.

caught-by: rules-refuse
says: no rule took it
cites: SVC-23
"""

import struct
from collections import OrderedDict
from ipaddress import IPv4Address
from typing import NamedTuple
import base64
import hashlib
import asyncio
from podpath import packets


ICMP, TCP, UDP = 1, 6, 17  # the protocol numbers in an IPv4 header
FIN, SYN, RST, ACK = 1, 2, 4, 16  # flags of TCP


def updated(before, old, new):
    """The checksum, a number, that was `before` until the bytes `old` became the bytes `new` (RFC 1624, equation 3)."""
    change = int.from_bytes(new, "big") - int.from_bytes(old, "big")
    total = (before ^ 0xFFFF) + change % 0xFFFF  # modulo ffff, which is what a one's complement sum is
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF


HEADER = {ICMP: 8, TCP: 20, UDP: 8}  # bytes of a whole header
CHECKSUM_AT = {TCP: 16, UDP: 6}  # where in it the checksum is
REDIRECT, ERRORS = 5, (3, 4, 5, 11, 12)


class Packet(NamedTuple):
    """What an IPv4 packet says. The first five tell its flow; ports are None where they are not to be had."""

    protocol: int
    source: bytes
    sport: int | None
    destination: bytes
    dport: int | None
    start: int  # in the frame: the IPv4 header
    payload: int  # what follows it
    end: int
    ident: int | None  # of a fragment
    later: bool  # a fragment that is not the first
    error: bool  # an ICMP message about another packet


def parse(frame, start=14, end=None):
    """The IPv4 packet at `start`, or None if it is not whole. With `end` it is quoted, and may be cut short."""
    quoted, limit = end is not None, len(frame) if end is None else end
    if limit < start + 20:
        return None
    first, total, ident, fragment, protocol, source, destination = struct.unpack_from("!BxHHHxBxx4s4s", frame, start)
    payload, end = start + (first & 15) * 4, start + total
    if first >> 4 != 4 or payload < start + 20 or end < payload or payload > limit or (end > limit and not quoted):
        return None
    end = min(end, limit)
    sport = dport = None
    error = False
    if not fragment & 0x1FFF and end - payload >= (8 if quoted else HEADER.get(protocol, 0xFFFF)):
        if protocol in (TCP, UDP):
            sport, dport = struct.unpack_from("!HH", frame, payload)
            if not sport or not dport:
                sport = dport = None
        elif protocol == ICMP:
            error = frame[payload] in ERRORS
    part = ident if fragment & 0x3FFF else None
    later = fragment & 0x1FFF > 0
    return Packet(protocol, source, sport, destination, dport, start, payload, end, part, later, error)


class Ends(NamedTuple):
    """What the two ends of a packet are to be, as bytes."""

    addresses: bytes
    ports: bytes


def ends_of(source, sport, destination, dport):
    return Ends(source + destination, struct.pack("!HH", sport, dport))


def readdress(frame, packet, addresses):
    """Give a packet other addresses, in place; those it had."""
    at = packet.start + 12
    old = bytes(frame[at : at + 8])
    frame[at : at + 8] = addresses
    mend(frame, packet.start + 10, old, addresses)
    return old


def rewrite(frame, packet, ends):
    """Give a packet other addresses and ports, in place."""
    addresses, ports = ends
    old = readdress(frame, packet, addresses)
    at = packet.payload
    old += frame[at : at + 4]
    frame[at : at + 4] = ports
    at += CHECKSUM_AT[packet.protocol]
    if at + 2 > packet.end:
        return  # a quoted packet that ends before it
    if packet.protocol == UDP and not (frame[at] or frame[at + 1]):
        return  # its sender has computed none
    mend(frame, at, old, addresses + ports)
    if packet.protocol == UDP and not (frame[at] or frame[at + 1]):
        frame[at : at + 2] = b"\xff\xff"


def mend(frame, at, old, new):
    struct.pack_into("!H", frame, at, updated(frame[at] << 8 | frame[at + 1], old, new))


def reverse(key):
    protocol, source, sport, destination, dport = key[:5]
    return protocol, destination, dport, source, sport


def turned(frame):
    """The same, back to where it came from."""
    return frame[6:12] + frame[:6] + frame[12:]


def sound(frame, packet, inner):
    """Whether an ICMP error is undamaged: its own checksum, and that of the IPv4 header in it (RFC 5508, REQ-3)."""
    return not packets.checksum(frame[packet.payload : packet.end]) and not packets.checksum(
        frame[inner.start : inner.payload]
    )


def finish(frame, packet):
    """The ICMP checksum of an error, anew: it has just been found right."""
    at = packet.payload + 2
    frame[at : at + 2] = b"\0\0"
    struct.pack_into("!H", frame, at, packets.checksum(bytes(frame[packet.payload : packet.end])))


class ServiceProxy:
    """Stands at a pod's cable, and gives every connection to a Service one of its endpoints."""

    def __init__(self, services, rng):
        self.rng = rng  # the only chance there is

        # What you remember. The shapes are up to you; this is what one solution has.
        self.services = {}  # (protocol, address, port) -> what the Service is
        self.flows = OrderedDict()  # what the pod sends -> its flow; the longest silent first
        self.back = {}  # what an endpoint answers -> the same flow
        self.clients = {}  # (Service, client's address) -> its endpoint, and when it last opened a connection
        self.fragments = OrderedDict()  # what became of first fragments
        self.swept = 0.0  # when you last looked for what is over

        self.update(services, 0.0)

    def update(self, services, now):
        """From now on these are the Services. Returns a list as `receive` does; there is nothing to send: []."""
        self.services = {
            (PROTOCOL[one.protocol], one.address.packed, one.port): Backend(
                [(endpoint.address.packed, endpoint.port) for endpoint in one.endpoints], one.affinity_seconds
            )
            for one in services
        }
        self.addresses = {address for _, address, _ in self.services}
        for flow in list(self.flows.values()):
            if flow.asked[0] == UDP and flow.seen[3:] not in self.endpoints(flow.service):
                self.forget(flow)
        return []

    def tick(self, now):
        """Called at least every 0.1 s; returns a list as `receive` does. You can do without it."""
        return []

    def receive(self, port, frame, now):
        """`frame` arrived on `port` ("pod" or "network") at time `now`. Return the list of (port, frame) to send."""
        other = "network" if port == "pod" else "pod"
        packet = parse(frame) if frame[12:14] == b"\x08\x00" else None
        if packet is None:
            return [(other, frame)]
        if packet.sport is None:
            if packet.later:
                return self.follow(port, frame, packet, now)
            return self.error(port, frame, packet, now) if packet.error else [(other, frame)]
        flags = frame[packet.payload + 13] if packet.protocol == TCP else 0
        if port == "network":
            flow = self.current(self.back, packet[:5], now)
            if flow is None or flow.hairpin:
                return self.untouched(port, frame, packet)
            return self.translated(port, frame, packet, flow, flow.answered, flags, now)
        flow = self.current(self.flows, packet[:5], now)
        if flow is not None and flow.closed and flags & SYN:
            self.forget(flow)  # another connection, of the same two ends
            flow = None
        if flow is None:
            flow = self.current(self.back, packet[:5], now)
            if flow is not None and flow.hairpin:
                return self.translated(port, frame, packet, flow, flow.answered, flags, now)
            backend = self.services.get((packet.protocol, packet.destination, packet.dport))
            if backend is None:
                return self.untouched(port, frame, packet)
            if not backend.endpoints:
                self.remember(packet, None, now)
                return self.refuse(frame, packet)
            flow = self.open(packet, backend, now)
            if flow is None:
                return []
        return self.translated(port, frame, packet, flow, flow.sent, flags, now)

    # -- packets of flows, and of none

    def translated(self, port, frame, packet, flow, ends, flags, now):
        flow.touch(now, flags, ends is flow.answered)
        self.flows.move_to_end(flow.asked)
        out = bytearray(frame)
        rewrite(out, packet, ends)
        if packet.ident is not None:
            self.remember(packet, (ends.addresses, flow.hairpin), now)
        return self.sent(port, out, flow.hairpin)

    def sent(self, port, out, back):
        if back:
            return [(port, turned(bytes(out)))]
        return [("network" if port == "pod" else "pod", bytes(out))]

    def untouched(self, port, frame, packet):
        if packet.ident is not None:
            self.fragments.pop(part_of(packet), None)
        return self.sent(port, frame, False)

    # -- flows

    def current(self, flows, key, now):
        flow = flows.get(key)
        if flow is not None and now - flow.last > flow.idle:
            self.forget(flow)
            return None
        return flow

    def open(self, packet, backend, now):
        """The pod speaks to a Service anew; None if no two ports would be left to tell it apart by."""
        if now - self.swept > 10 or (len(self.flows) >= FLOWS and now - self.swept > 1):
            self.sweep(now)
        endpoint = self.choose(packet, backend, now)
        protocol, client, port, service, _ = packet[:5]
        source = service if endpoint[0] == client else client
        for _ in range(1000):
            answer = (protocol, *endpoint, source, port)
            if self.current(self.back, answer, now) is None and (
                source == client or (protocol, service, port) not in self.services
            ):
                break
            port = self.rng.randrange(1024, 65536)
        else:
            return None
        if len(self.flows) >= FLOWS:
            self.forget(next(iter(self.flows.values())))
        flow = self.flows[packet[:5]] = self.back[answer] = Flow(packet[:5], reverse(answer), now)
        return flow

    def choose(self, packet, backend, now):
        who = (packet.protocol, packet.destination, packet.dport, packet.source)
        endpoint, since = self.clients.get(who, (None, now))
        if backend.affinity is None or endpoint not in backend.endpoints or now - since > backend.affinity:
            endpoint = self.rng.choice(backend.endpoints)
        if backend.affinity is not None:
            self.clients[who] = endpoint, now
        return endpoint

    def endpoints(self, service):
        backend = self.services.get(service)
        return backend.endpoints if backend else []

    def forget(self, flow):
        del self.flows[flow.asked], self.back[reverse(flow.seen)]

    def sweep(self, now):
        self.swept = now
        for flow in [flow for flow in self.flows.values() if now - flow.last > flow.idle]:
            self.forget(flow)
        for who, (_, since) in list(self.clients.items()):
            backend = self.services.get(who[:3])
            if backend is None or backend.affinity is None or now - since > backend.affinity:
                del self.clients[who]

    # -- nobody there

    def refuse(self, frame, packet):
        """The answer to what is for a Service without endpoints: a RST, or an ICMP port unreachable."""
        if frame[0] & 1 or not 0 < packet.source[0] < 224:
            return []
        if packet.protocol == UDP:
            quote = frame[packet.start : min(packet.end, packet.payload + 512)]
            body = b"\x03\x03\0\0\0\0\0\0" + quote
            body = body[:2] + struct.pack("!H", packets.checksum(body)) + body[4:]
            return [("pod", self.reply(frame, packet, ICMP, body))]
        number, ack, offset, flags = struct.unpack_from("!IIBB", frame, packet.payload + 4)
        if flags & RST:
            return []
        if flags & ACK:
            number, ack, flags = ack, 0, RST
        else:
            length = packet.end - packet.payload - (offset >> 4) * 4
            if offset >> 4 < 5 or length < 0:
                return []
            ack = (number + length + bool(flags & SYN) + bool(flags & FIN)) & 0xFFFFFFFF
            number, flags = 0, RST | ACK
        body = struct.pack("!HHIIBBHHH", packet.dport, packet.sport, number, ack, 5 << 4, flags, 0, 0, 0)
        pseudo = packet.destination + packet.source + struct.pack("!HH", TCP, 20)
        body = body[:16] + struct.pack("!H", packets.checksum(pseudo + body)) + body[18:]
        return [("pod", self.reply(frame, packet, TCP, body))]

    def reply(self, frame, packet, protocol, body):
        ends = IPv4Address(packet.destination), IPv4Address(packet.source)
        return turned(frame[:14]) + packets.ipv4(*ends, protocol, body)

    # -- ICMP errors

    def error(self, port, frame, packet, now):
        """About a packet of a flow: it must look as its receiver knows that flow."""
        inner = parse(frame, packet.payload + 8, packet.end)
        key = reverse(inner) if inner else None
        flow = self.current(self.back, key, now)
        if flow is not None and flow.hairpin == (port == "pod"):
            _, client, client_port, service, service_port = flow.asked
            ends = ends_of(client, client_port, service, service_port)
            source = service if packet.source == flow.seen[3] else packet.source
            addresses = source + client
        else:
            flow = self.current(self.flows, key, now)
            if flow is None or port == "network":
                return self.sent(port, frame, False)
            _, source, source_port, endpoint, endpoint_port = flow.seen
            ends = ends_of(endpoint, endpoint_port, source, source_port)
            addresses = source + endpoint
        if frame[packet.payload] == REDIRECT or not sound(frame, packet, inner):
            return []
        out = bytearray(frame)
        rewrite(out, inner, ends)
        readdress(out, packet, addresses)
        finish(out, packet)
        return self.sent(port, out, flow.hairpin)

    # -- fragments

    def remember(self, packet, what, now):
        """What became of a first fragment: its new addresses, and whether it turned round; None if it was dropped."""
        if packet.ident is None:
            return
        self.fragments.pop(part_of(packet), None)
        self.fragments[part_of(packet)] = what, now
        if len(self.fragments) > DATAGRAMS:
            self.fragments.popitem(last=False)

    def follow(self, port, frame, packet, now):
        what, since = self.fragments.get(part_of(packet), (None, None))
        if since is None or now - since > REASSEMBLY:
            strange = port == "pod" and packet.destination in self.addresses
            return [] if strange else self.sent(port, frame, False)
        if what is None:
            return []
        addresses, back = what
        out = bytearray(frame)
        readdress(out, packet, addresses)
        return self.sent(port, out, back)


PROTOCOL = {"TCP": TCP, "UDP": UDP}
CLOSED, RESET, OPEN = 120.0, 10.0, 24 * 3600.0  # seconds that a TCP flow may be silent
IDLE = {TCP: OPEN, UDP: 120.0}
FLOWS = 65536
REASSEMBLY, DATAGRAMS = 30.0, 1024


def part_of(packet):
    return packet.source, packet.destination, packet.protocol, packet.ident


class Backend(NamedTuple):
    """What is behind a Service: (address, port) of each endpoint, and for how long a client stays with one."""

    endpoints: list
    affinity: float | None


class Flow:
    """A connection of the pod to a Service: as the pod sends it, and as the endpoint sees it."""

    __slots__ = ("answered", "asked", "fins", "hairpin", "idle", "last", "reset", "seen", "sent", "service")

    def __init__(self, asked, seen, now):
        self.asked, self.seen, self.last = asked, seen, now
        self.service = (asked[0], *asked[3:])
        self.hairpin = asked[1] == seen[3]
        self.sent, self.answered = ends_of(*seen[1:]), ends_of(*asked[3:], *asked[1:3])  # what its packets become
        self.idle = IDLE[asked[0]]
        self.fins, self.reset = set(), False

    def __repr__(self):
        return f"{IPv4Address(self.seen[3])}:{self.seen[4]}, silent for {self.idle:g} s at most"

    def touch(self, now, flags, answer):
        """A packet of the flow has passed."""
        self.last = now
        if flags & (FIN | RST):
            if flags & FIN:
                self.fins.add(answer)
            self.reset = self.reset or bool(flags & RST)
            if self.closed:
                self.idle = RESET if self.reset else CLOSED

    @property
    def closed(self):
        return self.reset or len(self.fins) == 2


def chain_name(kind, *parts):
    """The name of a chain of that kind, "SVC" or "SEP", for what the texts `parts`, one behind the other, say."""
    digest = hashlib.sha256("".join(parts).encode()).digest()
    return f"KUBE-{kind}-{base64.b32encode(digest).decode()[:16]}"


def service_rules(service, node):
    """Table nat, for one Service that has endpoints: a list of the names of its chains, and a list of its rules (lines)."""
    protocol = service.protocol.lower()
    name = chain_name("SVC", service.name, protocol)
    match = f"-d {service.address}/32 -p {protocol} -m {protocol} --dport {service.port}"
    ends = [(chain_name("SEP", service.name, protocol, f"{one.address}:{one.port}"), one) for one in service.endpoints]
    affinity = service.affinity_seconds
    rules = [f"-A KUBE-SERVICES {match} -j {name}", f"-A {name} {match} ! -s {node.pods} -j KUBE-MARK-MASQ"]
    if affinity:
        rules += [f"-A {name} -m recent --name {sep} --rcheck --seconds {int(affinity)} --reap -j {sep}" for sep, _ in ends]
    for left, (sep, _) in zip(range(len(ends), 0, -1), ends, strict=True):
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        rules.append(f"-A {name} {chance}-j {sep}")
    for sep, one in ends:
        remember = f"-m recent --name {sep} --set " if affinity else ""
        rules.append(f"-A {sep} -s {one.address}/32 -j KUBE-MARK-MASQ")
        rules.append(f"-A {sep} -p {protocol} {remember}-j DNAT --to-destination {one.address}:{one.port}")
    return [name, *(sep for sep, _ in ends)], rules


def refusal(service):
    """Table filter, for one Service without endpoints: its rule (a line)."""
    protocol = service.protocol.lower()
    match = f"-d {service.address}/32 -p {protocol} -m {protocol} --dport {service.port}"
    return f'-A KUBE-SERVICES -m comment --comment "{service.name} has no endpoints" {match} -j REJECT'


def iptables_rules(services, node):
    """What kube-proxy, in its iptables mode, has the kernel of a node do about these Services: text for
    iptables-restore.

    `services` is a list of podpath.configuration.Service, `node` a podpath.configuration.Node.
    """
    chains = ["KUBE-SERVICES", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"]
    rules = [
        "-A PREROUTING -j KUBE-SERVICES",
        "-A OUTPUT -j KUBE-SERVICES",
        "-A POSTROUTING -j KUBE-POSTROUTING",
        "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ]
    refusals = []
    for service in services:
        if service.endpoints:
            its_chains, its_rules = service_rules(service, node)
            chains += its_chains
            rules += its_rules
        else:
            refusals.append(refusal(service))
    lines = [
        "*filter",
        ":KUBE-SERVICES - [0:0]",
        "-A INPUT -m conntrack --ctstate NEW -j KUBE-SERVICES",
        "-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES",
        *refusals,
        "COMMIT",
        "*nat",
        *(f":{chain} - [0:0]" for chain in chains),
        *rules,
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"




async def copy(reader, writer):
    """One direction: carry what comes from `reader` to `writer`, and that it has ended."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def splice(client, endpoint):
    """Carry bytes both ways between two connections, each a pair (asyncio.StreamReader, asyncio.StreamWriter), until
    both directions have ended; then both are closed."""
    (from_client, to_client), (from_endpoint, to_endpoint) = client, endpoint
    ways = [
        asyncio.create_task(copy(from_client, to_endpoint)),
        asyncio.create_task(copy(from_endpoint, to_client)),
    ]
    try:
        await asyncio.gather(*ways)
    except OSError:  # one of them is gone: nothing can be said to it, nor will it say anything
        pass
    finally:
        for way in ways:
            way.cancel()
        for writer in (to_client, to_endpoint):
            writer.close()

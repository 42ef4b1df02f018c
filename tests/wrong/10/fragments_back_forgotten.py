"""Follows fragments on their way out only.

caught-by: fragments
says: sent on unchanged
cites: NAT-23
"""

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

from podpath import packets

ICMP, TCP, UDP = 1, 6, 17  # the protocol numbers in an IPv4 header


def updated(before, old, new):
    """The checksum, a number, that was `before` until the bytes `old` became the bytes `new` (RFC 1624, equation 3)."""
    change = int.from_bytes(new, "big") - int.from_bytes(old, "big")
    total = (before ^ 0xFFFF) + change % 0xFFFF  # modulo ffff, which is what a one's complement sum is
    return ((total & 0xFFFF) + (total >> 16)) ^ 0xFFFF


HEADER = {ICMP: 8, TCP: 20, UDP: 8}  # bytes of a whole header
CHECKSUM_AT = {ICMP: 2, TCP: 16, UDP: 6}  # where in it the checksum is
SOURCE, DESTINATION = 0, 1
ECHO_REPLY, ECHO = 0, 8
ERRORS = (3, 4, 11, 12)  # unreachable, source quench, time exceeded, parameter problem
NO_PORT = -1  # the far end of an echo has none


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
    if not fragment & 0x1FFF and protocol in HEADER and end - payload >= (8 if quoted else HEADER[protocol]):
        if protocol == ICMP:
            kind, number = struct.unpack_from("!BxxxH", frame, payload)
            error = kind in ERRORS
            if kind == ECHO:
                sport, dport = number, NO_PORT
            elif kind == ECHO_REPLY:
                sport, dport = NO_PORT, number
        else:
            sport, dport = struct.unpack_from("!HH", frame, payload)
            if not sport or not dport:
                sport = dport = None
    part = ident if fragment & 0x3FFF else None
    later = fragment & 0x1FFF > 0
    return Packet(protocol, source, sport, destination, dport, start, payload, end, part, later, error)


def rewrite(frame, packet, which, address, port=None):
    """Give a packet another source or destination, in place; `port` None leaves the port as it is."""
    at = packet.start + 12 + 4 * which
    old, frame[at : at + 4] = bytes(frame[at : at + 4]), address
    mend(frame, packet.start + 10, old, address)
    if port is None:
        return
    at = packet.payload + (4 if packet.protocol == ICMP else 2 * which)
    new, old_port = struct.pack("!H", port), bytes(frame[at : at + 2])
    frame[at : at + 2] = new
    at = packet.payload + CHECKSUM_AT[packet.protocol]
    if at + 2 > packet.end:
        return  # a quoted packet that ends before it
    if packet.protocol == ICMP:
        mend(frame, at, old_port, new)
    elif packet.protocol == TCP:
        mend(frame, at, old + old_port, address + new)
    elif frame[at] or frame[at + 1]:
        mend(frame, at, old + old_port, address + new)
        if not (frame[at] or frame[at + 1]):
            frame[at : at + 2] = b"\xff\xff"


def mend(frame, at, old, new):
    struct.pack_into("!H", frame, at, updated(frame[at] << 8 | frame[at + 1], old, new))


def tcp_flags(frame, packet):
    return frame[packet.payload + 13] if packet.protocol == TCP else 0


def reverse(packet):
    return packet.protocol, packet.destination, packet.dport, packet.source, packet.sport


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


class EgressNat:
    """Lets pods speak to the world outside in the name of their node."""

    def __init__(self, public, cluster, ports=range(32768, 61000), exempt=()):
        self.public = public.packed  # the node's own address, as its four bytes stand in a packet
        self.cluster = cluster  # the pods' network, an IPv4Network
        self.exempt = exempt  # the networks of nodes
        self.ports = ports  # what you may choose from
        self.refused = 0  # how many packets were dropped because no port was free

        # What you remember. The shapes are up to you; this is what one solution has.
        self.mappings = {}  # a pod's port, with its protocol -> the public port
        self.taken = {}  # a public port, with its protocol -> whose it is
        self.leaving, self.arriving = {}, {}  # the flows, by what their packets say in each direction
        self.free = {}  # protocol -> ports that nobody has
        self.own = {}  # (protocol, port) -> when the node itself last sent from it
        self.fragments = {}  # what became of first fragments
        self.swept = 0.0  # when you last looked for what is over

    def exhausted(self):
        """How many packets were dropped because no port was free."""
        return self.refused

    def tick(self, now):
        """Called at least every 0.1 s; returns a list as `receive` does. You can do without it."""
        return []

    def receive(self, port, frame, now):
        """`frame` arrived on `port` ("inside" or "outside") at time `now`. Return the list of (port, frame) to send."""
        if now - self.swept > 1:
            self.sweep(now)
        if len(frame) < 14:
            return []
        if frame[12:14] != b"\x08\x00":
            return [("outside" if port == "inside" else "inside", frame)]
        packet = parse(frame)
        if packet is None:
            return []
        if port == "inside":
            return self.leave(frame, packet, now)
        if packet.source == self.public:
            return []  # forged: that is the node's own address
        return self.arrive(frame, packet, now)

    # -- the two directions

    def leave(self, frame, packet, now):
        flow = self.current(self.leaving, packet[:5], now)
        if flow is None:
            if packet.later:
                return self.follow_out(frame, packet, now)
            if packet.error:
                return self.error_out(frame, packet, now)
            if packet.source == self.public and packet.sport is not None:
                self.own[packet.protocol, packet.sport] = now
            if not self.goes_outside(packet, now):
                return [("outside", frame)]
            flow = self.open(packet, now)
            if flow is None:
                return []
        flow.touch(now, tcp_flags(frame, packet), inbound=False)
        out = bytearray(frame)
        rewrite(out, packet, SOURCE, self.public, flow.mapping.port)
        if packet.ident is not None:
            self.remember(packet, self.public, now)
        return self.onward(out, packet, now)

    def arrive(self, frame, packet, now):
        flow = self.current(self.arriving, packet[:5], now)
        if flow is None:
            return self.arrive_otherwise(frame, packet, now)
        flow.touch(now, tcp_flags(frame, packet), inbound=True)
        _, pod, port, _, _ = flow.out
        out = bytearray(frame)
        rewrite(out, packet, DESTINATION, pod, port)
        if packet.ident is not None:
            pass
        return [("inside", bytes(out))]

    def arrive_otherwise(self, frame, packet, now):
        """What is no answer to a pod's flow."""
        if packet.later and (pod := self.remembered(packet, now)):
            out = bytearray(frame)
            rewrite(out, packet, DESTINATION, pod)
            return [("inside", bytes(out))]
        if packet.error and packet.destination == self.public:
            answer = self.error_in(frame, packet, now)
            if answer is not None:
                return answer
        if self.is_near(packet.source):
            return [("inside", frame)]
        if self.is_pod(packet.destination):
            return []
        if packet.destination == self.public and self.is_a_pods(packet.protocol, packet.dport, now):
            return []
        return [("inside", frame)]

    def onward(self, out, packet, now):
        """Send what now has the public source: out, or back in if it is for a pod behind the same address."""
        if packet.destination != self.public:
            return [("outside", bytes(out))]
        out[:6], out[6:12] = out[6:12], out[:6]
        turned = parse(out)
        self.expect(turned, now)
        return self.arrive(bytes(out), turned, now)

    def goes_outside(self, packet, now):
        if not self.is_pod(packet.source):
            return False
        if packet.destination == self.public:
            return self.live(self.taken.get((packet.protocol, packet.dport)), now)
        return packet.destination[0] < 224 and not self.is_near(packet.destination)

    def is_pod(self, address):
        return IPv4Address(address) in self.cluster

    def is_near(self, address):
        return self.is_pod(address) or any(IPv4Address(address) in network for network in self.exempt)

    # -- flows and ports

    def current(self, flows, key, now):
        flow = flows.get(key)
        if flow is not None and flow.expires < now:
            self.forget(flow)
            return None
        return flow

    def open(self, packet, now):
        """A pod speaks to another end for the first time; None if it cannot be translated."""
        protocol, pod, port, remote, remote_port = packet[:5]
        if port is None or port == NO_PORT:
            return None
        mapping = self.mappings.get((protocol, pod, port))
        if not self.live(mapping, now):
            public_port = self.choose(protocol, port, now)
            if public_port is None:
                self.refused += 1
                return None
            mapping = Mapping(protocol, pod, port, public_port)
            self.mappings[mapping.inside] = self.taken[mapping.outside] = mapping
        back = (protocol, remote, remote_port, self.public, mapping.port)
        return self.note(Flow(mapping, packet[:5], back), now)

    def expect(self, packet, now):
        """A pod is spoken to by another one through the public address."""
        mapping = self.taken.get((packet.protocol, packet.dport))
        if packet.sport is not None and mapping is not None and packet[:5] not in self.arriving:
            out = (*mapping.inside, packet.source, packet.sport)
            self.note(Flow(mapping, out, packet[:5]), now)

    def note(self, flow, now):
        flow.touch(now, 0, inbound=False)
        flow.mapping.flows.add(flow)
        self.leaving[flow.out] = self.arriving[flow.back] = flow
        return flow

    def choose(self, protocol, wanted, now):
        """A public port that nobody has: `wanted` if it can be, else another; None if there is none."""
        if protocol not in self.free:
            self.free[protocol] = set(self.ports)
        free = self.free[protocol]
        if not self.is_own(protocol, wanted, now) and not self.live(self.taken.get((protocol, wanted)), now):
            free.discard(wanted)
            return wanted
        others = set()
        while free:
            port = free.pop()
            if port and not self.is_own(protocol, port, now):
                free |= others
                return port
            others.add(port)
        self.free[protocol] = others
        return None

    def is_own(self, protocol, port, now):
        return now - self.own.get((protocol, port), float("-inf")) <= OWN

    def is_a_pods(self, protocol, port, now):
        return self.live(self.taken.get((protocol, port)), now) and not self.is_own(protocol, port, now)

    # -- forgetting

    def live(self, mapping, now):
        if mapping is None:
            return False
        if any(flow.expires >= now for flow in mapping.flows):
            return True
        for flow in list(mapping.flows):
            self.forget(flow)
        return False

    def forget(self, flow):
        del self.leaving[flow.out], self.arriving[flow.back]
        mapping = flow.mapping
        mapping.flows.discard(flow)
        if not mapping.flows:
            del self.mappings[mapping.inside], self.taken[mapping.outside]
            if mapping.port in self.ports:
                self.free[mapping.outside[0]].add(mapping.port)

    def sweep(self, now):
        self.swept = now
        for flow in [flow for flow in self.leaving.values() if flow.expires < now]:
            self.forget(flow)
        self.own = {key: last for key, last in self.own.items() if now - last <= OWN}

    # -- fragments

    def remember(self, packet, address, now):
        key = (packet.source, packet.destination, packet.protocol, packet.ident)
        self.fragments.pop(key, None)
        self.fragments[key] = address, now + REASSEMBLY
        if len(self.fragments) > DATAGRAMS:
            del self.fragments[next(iter(self.fragments))]

    def remembered(self, packet, now):
        key = (packet.source, packet.destination, packet.protocol, packet.ident)
        address, until = self.fragments.get(key, (None, now))
        return address if now <= until else None

    def follow_out(self, frame, packet, now):
        if self.remembered(packet, now):
            out = bytearray(frame)
            rewrite(out, packet, SOURCE, self.public)
            return self.onward(out, packet, now)
        return [] if self.goes_outside(packet, now) else [("outside", frame)]

    # -- ICMP errors

    def error_out(self, frame, packet, now):
        """From inside, about a packet that came in: it must look as it did outside."""
        inner = parse(frame, packet.payload + 8, packet.end)
        flow = self.current(self.leaving, reverse(inner), now) if inner else None
        if flow is None:
            return [] if self.goes_outside(packet, now) else [("outside", frame)]
        if not sound(frame, packet, inner):
            return []
        out = bytearray(frame)
        rewrite(out, inner, DESTINATION, self.public, flow.mapping.port)
        if self.is_pod(packet.source):
            rewrite(out, packet, SOURCE, self.public)
        finish(out, packet)
        return self.onward(out, packet, now)

    def error_in(self, frame, packet, now):
        """From outside, about a packet that went out: it must look as the pod sent it. None if it is about no pod's."""
        inner = parse(frame, packet.payload + 8, packet.end)
        if inner is None:
            return []
        flow = self.current(self.arriving, reverse(inner), now)
        if flow is None:
            return None if not self.is_a_pods(inner.protocol, inner.sport, now) else []
        if not sound(frame, packet, inner):
            return []
        _, pod, port, _, _ = flow.out
        out = bytearray(frame)
        rewrite(out, inner, SOURCE, pod, port)
        rewrite(out, packet, DESTINATION, pod)
        finish(out, packet)
        return [("inside", bytes(out))]


FIN, SYN, RST = 1, 2, 4
CLOSED, OPEN = 4 * 60.0, 2 * 3600 + 4 * 60.0  # seconds that a TCP flow may be silent
IDLE = {ICMP: 60.0, TCP: CLOSED, UDP: 5 * 60.0}
OWN = 5 * 60.0  # seconds for which a port stays the node's
REASSEMBLY, DATAGRAMS = 30.0, 1024


class Mapping:
    """A pod's port, and the one that stands for it outside. It lives as long as one of its flows."""

    def __init__(self, protocol, pod, port, public_port):
        self.inside, self.outside = (protocol, pod, port), (protocol, public_port)
        self.port = public_port
        self.flows = set()

    def __repr__(self):
        return f"public port {self.port}"


class Flow:
    """What one pod's port has to do with one other end: as it leaves the pod, and as the answer comes back."""

    def __init__(self, mapping, out, back):
        self.mapping, self.out, self.back = mapping, out, back
        self.seen = set()  # of TCP: which flags, and whether they came from outside
        self.idle = IDLE[out[0]]
        self.expires = 0.0

    def __repr__(self):
        return f"a flow of {self.mapping}, silent for {self.idle:g} s at most"

    def touch(self, now, flags, inbound):
        """A packet of the flow has passed."""
        if flags & (FIN | SYN | RST):
            if flags & SYN and not inbound and self.closing:
                self.seen = set()  # another connection, of the same two ends
            self.seen |= {(flag, inbound) for flag in (FIN, SYN, RST) if flags & flag}
            self.idle = OPEN if self.both(SYN) and not self.closing else CLOSED
        self.expires = now + self.idle

    def both(self, flag):
        return (flag, True) in self.seen and (flag, False) in self.seen

    @property
    def closing(self):
        return self.both(FIN) or (RST, True) in self.seen or (RST, False) in self.seen

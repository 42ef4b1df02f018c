"""Objects all the way: verifies every checksum, drops what is damaged, and computes checksums anew where it can."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address

IDLE = {1: 60, 6: 240, 17: 300}
AT = {1: 2, 6: 16, 17: 6}
LEAST = {1: 8, 6: 20, 17: 8}


def total(data):
    data = bytes(data) + bytes(len(data) % 2)
    value = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while value > 0xFFFF:
        value = (value >> 16) + (value & 0xFFFF)
    return value


class Ip:
    """An IPv4 packet that can be changed, and written again."""

    def __init__(self, data, quoted=False):
        if len(data) < 20 or data[0] >> 4 != 4:
            raise ValueError
        self.size = (data[0] & 15) * 4
        length = int.from_bytes(data[2:4], "big")
        if self.size < 20 or length < self.size or len(data) < self.size or (len(data) < length and not quoted):
            raise ValueError
        self.cut = len(data) < length
        self.head, self.body = bytearray(data[: self.size]), bytearray(data[self.size : length])
        self.rest = bytes(data[length:])
        self.protocol = data[9]
        flags = int.from_bytes(data[6:8], "big")
        self.offset, self.fragment = flags & 0x1FFF, bool(flags & 0x3FFF)
        self.quoted = quoted

    @property
    def ends(self):
        return IPv4Address(bytes(self.head[12:16])), IPv4Address(bytes(self.head[16:20]))

    @property
    def readable(self):
        least = 8 if self.quoted else LEAST.get(self.protocol, 1 << 20)
        return self.protocol in LEAST and not self.offset and len(self.body) >= least

    @property
    def ports(self):
        if not self.readable:
            return None
        if self.protocol == 1:
            ident = int.from_bytes(self.body[4:6], "big")
            return {8: (ident, "echo"), 0: ("echo", ident)}.get(self.body[0])
        pair = int.from_bytes(self.body[:2], "big"), int.from_bytes(self.body[2:4], "big")
        return pair if all(pair) else None

    @property
    def is_error(self):
        return self.readable and self.protocol == 1 and self.body[0] in (3, 4, 11, 12)

    def pseudo(self):
        return bytes(self.head[12:20]) + bytes([0, self.protocol]) + len(self.body).to_bytes(2, "big")

    def unchecked(self):
        return self.protocol == 17 and self.body[6:8] == b"\0\0"

    def damaged(self):
        """Whether the transport checksum is wrong, if that can be told."""
        if not self.readable or self.fragment or self.cut or self.unchecked():
            return False
        return total((b"" if self.protocol == 1 else self.pseudo()) + self.body) != 0xFFFF

    def move(self, end, address, port):
        before = bytes(self.head[12:20]) + bytes(self.body[:8])
        self.head[12 + 4 * end : 16 + 4 * end] = address.packed
        if port is not None:
            at = 4 if self.protocol == 1 else 2 * end
            self.body[at : at + 2] = port.to_bytes(2, "big")
            at = AT[self.protocol]
            if not self.unchecked() and at + 2 <= len(self.body):
                self.body[at : at + 2] = self.mended(before, at).to_bytes(2, "big")
        self.head[10:12] = b"\0\0"
        self.head[10:12] = (0xFFFF - total(self.head)).to_bytes(2, "big")

    def mended(self, before, at):
        old = int.from_bytes(self.body[at : at + 2], "big")
        if self.fragment or self.cut:
            after = bytes(self.head[12:20]) + bytes(self.body[:8])
            skip = 8 if self.protocol == 1 else 0  # no pseudo-header
            before, after = bytearray(before[skip:]), bytearray(after[skip:])
            if at < 8:
                here = at + 8 - skip
                before[here : here + 2] = after[here : here + 2] = b"\0\0"
            value = 0xFFFF - old + sum(0xFFFF - (a << 8 | b) for a, b in zip(before[::2], before[1::2], strict=True))
            value += sum(a << 8 | b for a, b in zip(after[::2], after[1::2], strict=True))
            while value > 0xFFFF:
                value = (value >> 16) + (value & 0xFFFF)
            value = 0xFFFF - value
        else:
            self.body[at : at + 2] = b"\0\0"
            value = 0xFFFF - total((b"" if self.protocol == 1 else self.pseudo()) + self.body)
        return value or (0xFFFF if self.protocol == 17 else 0)

    def bytes(self):
        return bytes(self.head) + bytes(self.body)


@dataclass
class Session:
    until: float = 0.0
    syn: set = field(default_factory=set)
    fin: set = field(default_factory=set)
    reset: bool = False

    def packet(self, ip, now, side):
        patience = IDLE[ip.protocol]
        if ip.protocol == 6:
            flags = ip.body[13]
            if flags & 2:
                if side == "pod" and (self.reset or len(self.fin) == 2):
                    self.syn, self.fin, self.reset = set(), set(), False
                self.syn.add(side)
            if flags & 1:
                self.fin.add(side)
            self.reset = self.reset or bool(flags & 4)
            if len(self.syn) == 2 and len(self.fin) < 2 and not self.reset:
                patience = 7440
        self.until = now + patience


class EgressNat:
    def __init__(self, public, cluster, ports=range(32768, 61000), exempt=()):
        self.public, self.cluster, self.range = public, cluster, ports
        self.near = [cluster, *exempt]
        self.sockets = {}  # (protocol, pod, port) -> [public port, {(remote, port): Session}]
        self.owners = {}  # (protocol, public port) -> (protocol, pod, port)
        self.node = {}
        self.parts = []
        self.no_port = 0

    def exhausted(self):
        return self.no_port

    def tick(self, now):
        for socket in list(self.sockets):
            self.look(socket, now)
        return []

    def look(self, socket, now):
        """Forget what is over of a socket; whether there is anything left."""
        port, sessions = self.sockets[socket]
        for remote in [remote for remote, session in sessions.items() if session.until < now]:
            del sessions[remote]
        if not sessions:
            del self.sockets[socket], self.owners[socket[0], port]
        return bool(sessions)

    def owner(self, protocol, port, now):
        socket = self.owners.get((protocol, port))
        return socket if socket and self.look(socket, now) else None

    def nodes(self, protocol, port, now):
        return self.node.get((protocol, port), -1000) >= now - 300

    def find_port(self, protocol, wanted, now):
        for port in (wanted, *self.range):
            possible = port or wanted == 0 == port
            if possible and not self.nodes(protocol, port, now) and not self.owner(protocol, port, now):
                return port
        return None

    def receive(self, port, frame, now):
        if len(frame) < 14:
            return []
        onward = "outside" if port == "inside" else "inside"
        if frame[12:14] != b"\x08\x00":
            return [(onward, frame)]
        try:
            ip = Ip(frame[14:])
        except ValueError:
            return []
        ways = self.outward(ip, now) if port == "inside" else self.inward(ip, now)
        if ways is None:
            return [(onward, frame)]
        macs = frame[6:12] + frame[:6] if ways == "turn" else frame[:12]
        side = "inside" if ways == "turn" else onward
        return [(side, macs + frame[12:14] + ip.bytes() + ip.rest)] if ways else []

    def is_near(self, address):
        return any(address in network for network in self.near)

    def outward(self, ip, now):
        """True: translated; "turn": translated and to be sent back; False: to be dropped; None: not ours."""
        (source, destination), ports = ip.ends, ip.ports
        if source not in self.cluster and not ip.is_error:
            if source == self.public and ports and ports[0] != "echo":
                self.node[ip.protocol, ports[0]] = now
            return None
        key = (source, destination, ip.protocol, bytes(ip.head[4:6]))
        if ip.offset:
            if any(part[0] == key and part[1] >= now for part in self.parts):
                ip.move(0, self.public, None)
                return self.turned(ip, now) if destination == self.public else True
            return False if self.outside(destination) else None
        if ip.is_error:
            return self.error_out(ip, now)
        turn = destination == self.public and ports and self.owner(ip.protocol, ports[1], now)
        if not turn and not self.outside(destination):
            return None
        if not ports or ports[0] == "echo" or ip.damaged():
            return False
        socket = (ip.protocol, source, ports[0])
        if socket not in self.sockets or not self.look(socket, now):
            found = self.find_port(ip.protocol, ports[0], now)
            if found is None:
                self.no_port += 1
                return False
            self.sockets[socket] = [found, {}]
            self.owners[ip.protocol, found] = socket
        found, sessions = self.sockets[socket]
        sessions.setdefault((destination, ports[1]), Session()).packet(ip, now, "pod")
        if ip.fragment:
            self.parts = [*self.parts[-1100:], (key, now + 30, None)]
        ip.move(0, self.public, found)
        return self.turned(ip, now) if turn else True

    def outside(self, address):
        return (
            address != self.public
            and not address.is_multicast
            and address.packed[0] < 224
            and not self.is_near(address)
        )

    def turned(self, ip, now):
        ports = ip.ports
        if ports and not ip.is_error:
            socket = self.owner(ip.protocol, ports[1], now)
            if socket:
                self.sockets[socket][1].setdefault((self.public, ports[0]), Session(now + 60))
        return "turn" if self.inward(ip, now, turned=True) else False

    def inward(self, ip, now, turned=False):
        (source, destination), ports = ip.ends, ip.ports
        if source == self.public and not turned:
            return False
        key = (source, destination, ip.protocol, bytes(ip.head[4:6]))
        if destination == self.public:
            if ip.offset:
                for part in self.parts:
                    if part[0] == key and part[1] >= now and part[2]:
                        ip.move(1, part[2], None)
                        return True
            if ip.is_error:
                answer = self.error_in(ip, now)
                if answer is not None:
                    return answer
            if ports:
                socket = self.owner(ip.protocol, ports[1], now)
                session = self.sockets[socket][1].get((source, ports[0])) if socket else None
                if session:
                    if ip.damaged():
                        return False
                    session.packet(ip, now, "remote")
                    if ip.fragment:
                        self.parts = [*self.parts[-1100:], (key, now + 30, socket[1])]
                    ip.move(1, *socket[1:])
                    return True
                if socket and not self.is_near(source) and not self.nodes(ip.protocol, ports[1], now):
                    return False
            return None
        return False if destination in self.cluster and not self.is_near(source) else None

    def quoted(self, ip):
        try:
            return Ip(bytes(ip.body[8:]), quoted=True)
        except ValueError:
            return None

    def error_out(self, ip, now):
        (source, destination), inner = ip.ends, self.quoted(ip)
        socket = session = None
        if inner and inner.ports:
            socket = (inner.protocol, inner.ends[1], inner.ports[1])
            if socket in self.sockets and self.look(socket, now):
                session = self.sockets[socket][1].get((inner.ends[0], inner.ports[0]))
        if session is None:
            return False if source in self.cluster and self.outside(destination) else None
        return self.rewrap(ip, inner, 1, (self.public, self.sockets[socket][0])) and (
            self.settle(ip, 0, self.public if source in self.cluster else source)
            and (self.turned(ip, now) if destination == self.public else True)
        )

    def error_in(self, ip, now):
        inner = self.quoted(ip)
        if inner is None or not inner.readable:
            return False
        if inner.ends[0] != self.public or not inner.ports:
            return None
        socket = self.owner(inner.protocol, inner.ports[0], now)
        if socket is None:
            return None
        if (inner.ends[1], inner.ports[1]) not in self.sockets[socket][1]:
            return None if self.nodes(inner.protocol, inner.ports[0], now) else False
        return self.rewrap(ip, inner, 0, socket[1:]) and self.settle(ip, 1, socket[1])

    def rewrap(self, ip, inner, end, to):
        """Put the quoted packet right; false if the error cannot be believed."""
        if total(ip.body) != 0xFFFF or total(inner.head) != 0xFFFF:
            return False
        inner.move(end, *to)
        ip.body[8:] = inner.bytes() + inner.rest
        return True

    def settle(self, ip, end, address):
        ip.body[2:4] = b"\0\0"
        ip.body[2:4] = (0xFFFF - total(ip.body)).to_bytes(2, "big")
        ip.move(end, address, None)
        return True

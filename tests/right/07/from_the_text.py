"""Written from the text alone: a queue for each lifetime, and one table for each direction."""

import asyncio
import base64
import hashlib
import struct
from collections import OrderedDict

ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
MOST = 65536
NUMBER = {"TCP": 6, "UDP": 17}


def updated(before, old, new):
    total = ~before & 0xFFFF
    old += bytes(len(old) % 2)
    new += bytes(len(new) % 2)
    for (a,) in struct.iter_unpack("!H", old):
        total += ~a & 0xFFFF
    for (b,) in struct.iter_unpack("!H", new):
        total += b
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def summed(data):
    data += bytes(len(data) % 2)
    total = sum(x for (x,) in struct.iter_unpack("!H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def rewrite(ip, src, sport, dst, dport, ports=True):
    """An IPv4 packet (maybe cut short) with other ends; checksums mended."""
    p = bytearray(ip)
    n = (p[0] & 15) * 4
    old = bytes(p[12:20])
    new = src + dst
    p[12:20] = new
    p[10:12] = updated(int.from_bytes(p[10:12], "big"), old, new).to_bytes(2, "big")
    if not ports:
        return bytes(p)
    oldp = bytes(p[n : n + 4])
    newp = struct.pack("!HH", sport, dport)
    p[n : n + 4] = newp
    at = n + (16 if p[9] == TCP else 6)
    if at + 2 <= len(p):
        c = int.from_bytes(p[at : at + 2], "big")
        if p[9] == TCP or c:
            c = updated(c, old + oldp, new + newp)
            if p[9] == UDP and c == 0:
                c = 0xFFFF
            p[at : at + 2] = c.to_bytes(2, "big")
    return bytes(p)


class Flow:
    def __init__(self, key, back, turned, now, service):
        self.key, self.back, self.turned, self.last, self.service = key, back, turned, now, service
        self.fins = set()
        self.kind = "udp" if key[0] == UDP else "tcp"


LIMIT = {"udp": 120, "tcp": 86400, "fin": 120, "rst": 10}


class ServiceProxy:
    def __init__(self, services, rng):
        self.rng = rng
        self.services = {}
        self.flows = {}
        self.back = {}
        self.order = {k: OrderedDict() for k in LIMIT}
        self.clients = {}
        self.fragments = OrderedDict()
        self.update(services, 0.0)

    def update(self, services, now):
        self.services = {}
        for s in services:
            ends = [(e.address.packed, e.port) for e in s.endpoints]
            self.services[NUMBER[s.protocol], s.address.packed, s.port] = (ends, s.affinity_seconds)
        for flow in list(self.order["udp"].values()):
            ends = self.services.get(flow.service, ((), None))[0]
            if flow.back[1:3] not in ends:
                self.forget(flow)
        for who, (end, _) in list(self.clients.items()):
            if end not in self.services.get(who[0], ((), None))[0]:
                del self.clients[who]
        return []

    def tick(self, now):
        return []

    def forget(self, flow):
        del self.flows[flow.key]
        del self.back[flow.back]
        del self.order[flow.kind][flow.key]

    def over(self, flow, now):
        return now - flow.last > LIMIT[flow.kind]

    def find(self, table, key, now):
        flow = table.get(key)
        if flow is not None and self.over(flow, now):
            self.forget(flow)
            return None
        return flow

    def seen(self, flow, now, who, flags):
        del self.order[flow.kind][flow.key]
        flow.last = now
        if flow.key[0] == TCP:
            if flags & FIN:
                flow.fins.add(who)
            if flags & RST:
                flow.kind = "rst"
            elif flow.kind == "tcp" and len(flow.fins) == 2:
                flow.kind = "fin"
        self.order[flow.kind][flow.key] = flow

    def room(self, now):
        for _kind, table in self.order.items():
            while table:
                first = next(iter(table.values()))
                if not self.over(first, now):
                    break
                self.forget(first)
        if len(self.flows) >= MOST:
            heads = [next(iter(t.values())) for t in self.order.values() if t]
            self.forget(min(heads, key=lambda f: f.last))

    def choose(self, service, client, now):
        ends, seconds = self.services[service]
        end = None
        if seconds is not None:
            old = self.clients.get((service, client))
            if old and old[0] in ends and now - old[1] <= seconds:
                end = old[0]
        if end is None:
            end = ends[self.rng.randrange(len(ends))]
        if seconds is not None:
            self.clients[service, client] = (end, now)
        return end

    def open(self, key, service, now):
        proto, caddr, cport, saddr, _sport = key
        if len(self.flows) >= MOST:
            self.room(now)
        end = self.choose(service, caddr, now)
        turned = end[0] == caddr
        source = saddr if turned else caddr
        port = cport
        while True:
            back = (proto, *end, source, port)
            if self.find(self.back, back, now) is None and not (turned and (proto, saddr, port) in self.services):
                break
            port = port + 1 if port < 65535 else 1024
        flow = Flow(key, back, turned, now, service)
        self.flows[key] = self.back[back] = flow
        self.order[flow.kind][key] = flow
        return flow

    def receive(self, port, frame, now):
        other = "network" if port == "pod" else "pod"
        same = [(other, frame)]
        if len(frame) < 34 or frame[12:14] != b"\x08\x00":
            return same
        ip = frame[14:]
        n, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
        if ip[0] >> 4 != 4 or n < 20 or n > len(ip) or total < n or total > len(ip):
            return same
        ip, tail = ip[:total], ip[total:]
        frag = int.from_bytes(ip[6:8], "big")
        offset, more = frag & 0x1FFF, frag & 0x2000
        src, dst, proto = ip[12:16], ip[16:20], ip[9]
        ident = (port, src, dst, proto, ip[4:6])
        if offset:
            known = self.fragments.get(ident)
            if known and now - known[0] <= 30:
                _, nsrc, ndst, turned = known
                if nsrc is None:
                    return []
                return self.out(port, frame, rewrite(ip, nsrc, 0, ndst, 0, False), tail, turned)
            if (
                port == "pod"
                and proto in (TCP, UDP)
                and any(s[0] == proto and s[1] == dst and not v[0] for s, v in self.services.items())
            ):
                return []
            return same
        if more:
            self.fragments.pop(ident, None)
        if proto == ICMP and not more:
            return self.icmp(port, frame, ip, n, tail, now, same)
        if proto not in (TCP, UDP) or total - n < (20 if proto == TCP else 8):
            return same
        sport, dport = struct.unpack("!HH", ip[n : n + 4])
        if not sport or not dport:
            return same
        flags = ip[n + 13] if proto == TCP else 0
        new = self.translate(port, proto, src, sport, dst, dport, flags, now, frame, ip, n)
        if new is None:
            return same
        if isinstance(new, list):
            if more:
                self.note(ident, (now, None, None, False))
            return new
        nsrc, nsport, ndst, ndport, turned = new
        if more:
            self.note(ident, (now, nsrc, ndst, turned))
        return self.out(port, frame, rewrite(ip, nsrc, nsport, ndst, ndport), tail, turned)

    def note(self, ident, what):
        self.fragments[ident] = what
        while len(self.fragments) > 1024:
            self.fragments.popitem(last=False)

    def out(self, port, frame, ip, tail, turned):
        if turned:
            return [("pod", frame[6:12] + frame[:6] + frame[12:14] + ip + tail)]
        return [("network" if port == "pod" else "pod", frame[:14] + ip + tail)]

    def translate(self, port, proto, src, sport, dst, dport, flags, now, frame, ip, n):
        back = self.find(self.back, (proto, src, sport, dst, dport), now)
        if back and back.turned == (port == "pod"):
            self.seen(back, now, "endpoint", flags)
            _, caddr, cport, saddr, svport = back.key
            return saddr, svport, caddr, cport, back.turned
        if port != "pod":
            return None
        key = (proto, src, sport, dst, dport)
        flow = self.find(self.flows, key, now)
        if flow and flow.kind in ("fin", "rst") and flags & SYN and not flags & ACK:
            self.forget(flow)
            flow = None
        if flow is None:
            service = (proto, dst, dport)
            if service not in self.services:
                return None
            if not self.services[service][0]:
                return self.refuse(frame, ip, n, proto, flags)
            flow = self.open(key, service, now)
        self.seen(flow, now, "client", flags)
        _, eaddr, eport, saddr, sp = flow.back
        return saddr, sp, eaddr, eport, flow.turned

    def refuse(self, frame, ip, n, proto, flags):
        if frame[0] & 1 or flags & RST:
            return []
        head = frame[6:12] + frame[:6] + frame[12:14]
        src, dst = ip[12:16], ip[16:20]
        if proto == TCP:
            sport, dport, seq, ack = struct.unpack("!HHII", ip[n : n + 12])
            size = len(ip) - n - (ip[n + 12] >> 4) * 4 + bool(flags & SYN) + bool(flags & FIN)
            if flags & ACK:
                seg = struct.pack("!HHIIBBHHH", dport, sport, ack, 0, 0x50, RST, 0, 0, 0)
            else:
                seg = struct.pack("!HHIIBBHHH", dport, sport, 0, (seq + size) & 0xFFFFFFFF, 0x50, RST | ACK, 0, 0, 0)
            c = summed(dst + src + struct.pack("!HH", 6, 20) + seg)
            body = seg[:16] + c.to_bytes(2, "big") + seg[18:]
            p = 6
        else:
            quote = ip[: 576 - 28]
            body = bytes([3, 3, 0, 0, 0, 0, 0, 0]) + quote
            body = body[:2] + summed(body).to_bytes(2, "big") + body[4:]
            p = 1
        ip4 = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, p, 0) + dst + src
        ip4 = ip4[:10] + summed(ip4).to_bytes(2, "big") + ip4[12:]
        return [("pod", head + ip4 + body)]

    def icmp(self, port, frame, ip, n, tail, now, same):
        body = ip[n:]
        if len(body) < 8 + 28 or body[0] not in (3, 4, 5, 11, 12):
            return same
        q = body[8:]
        m = (q[0] & 15) * 4
        if (
            q[0] >> 4 != 4
            or m < 20
            or len(q) < m + 8
            or q[9] not in (TCP, UDP)
            or int.from_bytes(q[6:8], "big") & 0x1FFF
        ):
            return same
        qs, qd = q[12:16], q[16:20]
        qsp, qdp = struct.unpack("!HH", q[m : m + 4])
        key = (q[9], qd, qdp, qs, qsp)
        src, _dst = ip[12:16], ip[16:20]
        turned = False
        flow = self.find(self.flows, key, now) if port == "pod" else None
        if flow:  # about an answer, as the client got it
            _, eaddr, eport, saddr, sp = flow.back
            newq = rewrite(q, eaddr, eport, saddr, sp)
            ndst = eaddr
            nsrc = saddr if flow.turned else src
            turned = flow.turned
        else:
            flow = self.find(self.back, key, now)
            if flow is None or flow.turned != (port == "pod"):
                return same
            _, caddr, cport, saddr, svport = flow.key
            newq = rewrite(q, caddr, cport, saddr, svport)
            nsrc, ndst = (saddr if src == flow.back[1] else src), caddr
            turned = flow.turned
        if body[0] == 5:
            return []
        c = updated(int.from_bytes(body[2:4], "big"), q, newq)
        newip = rewrite(ip, nsrc, 0, ndst, 0, False)
        newip = newip[:n] + body[:2] + c.to_bytes(2, "big") + body[4:8] + newq
        return self.out(port, frame, newip, tail, turned)


def chain_name(kind, *parts):
    """The name of a chain of that kind, "SVC" or "SEP", for what the texts `parts`, one behind the other, say."""
    digest = hashlib.sha256("".join(parts).encode()).digest()
    return f"KUBE-{kind}-{base64.b32encode(digest).decode()[:16]}"


def service_rules(service, node):
    """Table nat, for one Service that has endpoints: a list of the names of its chains, and a list of its rules (lines)."""
    protocol = service.protocol.lower()
    name = chain_name("SVC", service.name, protocol)
    match = f"-d {service.address}/32 -p {protocol} -m {protocol} --dport {service.port}"
    ends = [
        (chain_name("SEP", service.name, protocol, f"{one.address}:{one.port}"), one) for one in service.endpoints
    ]
    affinity = service.affinity_seconds
    rules = [f"-A KUBE-SERVICES {match} -j {name}", f"-A {name} {match} ! -s {node.pods} -j KUBE-MARK-MASQ"]
    if affinity:
        rules += [
            f"-A {name} -m recent --name {sep} --rcheck --seconds {int(affinity)} --reap -j {sep}" for sep, _ in ends
        ]
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
        "-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES",
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

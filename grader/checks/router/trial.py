"""What the checks of the router are written in: stations on its links, packets that arrive, and what must come out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from grader.check import Failed, Handle, LearnerError, Trial
from grader.checks.router.datagram import DONT_FRAGMENT, datagram
from grader.checks.router.expect import Station, Wanted, answer, forwarded, kind_of, question, shown, told
from grader.checks.router.own import icmp_error
from podpath.configuration import Interface, Route
from podpath.datapath import Frames
from podpath.packets import BROADCAST, ETH_ARP, ETH_IPV4, ETHERNET_HEADER, UDP, arp, ethernet, mac_text, udp

FRESH = 40.0  # seconds after which a station introduces itself again; entries live for 60


@dataclass
class RouterTrial(Trial):
    """A trial in which time passes, and in which nobody can foresee a port, a prefix or an address."""

    interfaces: dict[str, Interface] = field(default_factory=dict)
    _names: dict[bytes, str] = field(default_factory=dict)  # of MAC addresses
    _networks: list[IPv4Network] = field(default_factory=list)
    _taken: set[IPv4Address] = field(default_factory=set)
    _met: dict[Station, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self.now = float(self.random.randrange(1000, 1_000_000))

    # -- what takes part

    def begin_at(self, now: float) -> None:
        """Start the clock at another time than a random one. Before anything happens."""
        self.start = self.now = now

    def links(self, count: int = 3, mtus: Sequence[int] = (), lengths: Sequence[int] = ()) -> list[str]:
        """Choose new interfaces for the router; the names of their ports. MTUs are 1500, prefixes of usual lengths."""
        stem = self.random.choice(["eth", "port", "lan", "ens", "if-", "p"])
        names = [f"{stem}{number}" for number in self.random.sample(range(100), count)]
        self.interfaces, self._networks, self._taken, self._met = {}, [], set(), {}
        for index, name in enumerate(names):
            prefix = self.network(lengths[index] if lengths else self.random.choice([20, 22, 23, 24, 25, 26, 27]))
            own = IPv4Interface((self._host(prefix), prefix.prefixlen))
            mtu = mtus[index] if index < len(mtus) else 1500
            self.interfaces[name] = Interface(self.mac(), own, mtu)
        self._names = {BROADCAST: "everybody"} | {one.mac: "the router" for one in self.interfaces.values()}
        return names

    def network(self, length: int) -> IPv4Network:
        """A private prefix of that length that overlaps with no other of this trial."""
        while True:
            base = self.random.choice([0x0A000000, 0xAC100000, 0xC0A80000])
            bits = {0x0A000000: 24, 0xAC100000: 20, 0xC0A80000: 16}[base]
            found = IPv4Network((base | self.random.randrange(1 << bits), length), strict=False)
            if not any(found.overlaps(other) for other in self._networks):
                self._networks.append(found)
                return found

    def mac(self) -> bytes:
        """A unicast MAC address, unlike any other."""
        return b"\x02" + self.random.randbytes(5)

    def _host(self, prefix: IPv4Network) -> IPv4Address:
        """An address of the prefix that nobody has yet."""
        while True:
            found = prefix[self.random.randrange(1, max(2, prefix.num_addresses - 1))]
            if found not in self._taken:
                self._taken.add(found)
                return found

    def station(self, port: str, name: str) -> Station:
        """A new host on one of the links."""
        made = Station(name, port, self.mac(), self._host(self.interfaces[port].address.network))
        self._names[made.mac] = name
        self.transcript.note(f"{name} is {made.address} at {mac_text(made.mac)}, on {port}")
        return made

    def moved(self, station: Station) -> Station:
        """The same host with another MAC address."""
        made = Station(station.name, station.port, self.mac(), station.address)
        self._names[made.mac] = f"{station.name} (new)"
        self.transcript.note(f"{station.name} is now at {mac_text(made.mac)}")
        return made

    def far(self, prefix: IPv4Network) -> IPv4Address:
        """An address of a prefix that is on none of the links."""
        return self._host(prefix)

    def router(self, *routes: Route) -> Handle:
        """A new router of the learner's, with the chosen interfaces and these routes."""
        with self.transcript.step(f"Router with {len(self.interfaces)} interfaces and {_routes(len(routes))}"):
            made = self.subject.make(list(self.interfaces), dict(self.interfaces), list(routes))
        for name, one in self.interfaces.items():
            self.transcript.note(f"interface {name}: {one.address}, {mac_text(one.mac)}, MTU {one.mtu}")
        for route in routes[:12]:
            self.transcript.note(f"route {shown_route(route)}")
        if not routes[12:]:
            self.transcript.note(f"t={self.now - self.start:g} s is now={self.now!r}")
        return made

    # -- what arrives

    def ask(self, station: Station, target: IPv4Address | None = None, to: bytes = BROADCAST) -> bytes:
        """A frame: the station asks by ARP for `target`, by default for the router's address on its link."""
        return self.arp(1, station, target or self.interfaces[station.port].address.ip, bytes(6), to)

    def tell(self, station: Station) -> bytes:
        """A frame: the station answers the router's question."""
        own = self.interfaces[station.port]
        return self.arp(2, station, own.address.ip, own.mac, own.mac)

    def arp(self, operation: int, station: Station, target: IPv4Address, mac: bytes, to: bytes) -> bytes:
        """A frame with any ARP message."""
        return ethernet(to, station.mac, ETH_ARP, arp(operation, station.mac, station.address, mac, target))

    def frame(self, station: Station, packet: bytes, to: bytes | None = None) -> bytes:
        """A frame: the station hands a packet to the router. It is padded to 60 bytes, as Ethernet wants it."""
        return ethernet(to or self.interfaces[station.port].mac, station.mac, ETH_IPV4, packet).ljust(60, b"\0")

    def packet(self, source: IPv4Address, destination: IPv4Address, ttl: int = 64, size: int | None = None) -> bytes:
        """A UDP datagram between two addresses with a random payload, not to be fragmented; of `size` bytes in all."""
        length = self.random.choice([18, 33, 200]) if size is None else size - 28  # headers of IPv4 and UDP
        content = udp(self.random.randrange(1024, 65536), self.random.randrange(1024, 65536), self._bytes(length))
        return datagram(
            source, destination, UDP, content, ttl, ident=self.random.randrange(65536), fragment=DONT_FRAGMENT
        )

    def _bytes(self, count: int) -> bytes:
        """Random, but never ending in a zero, which would look like padding."""
        return self.random.randbytes(count)[:-1] + bytes([self.random.randrange(1, 256)][:count])

    # -- what must come out

    def question(self, hop: Station, final: IPv4Address | None = None) -> Wanted:
        return question(hop.port, self.interfaces[hop.port], hop.address, final)

    def answer(self, station: Station) -> Wanted:
        return answer(station, self.interfaces[station.port])

    def forwarded(self, packet: bytes, to: Station, ttl_matters: bool = True) -> Wanted:
        return forwarded(packet, to, self.interfaces[to.port], ttl_matters)

    def error(
        self,
        kind: int,
        code: int,
        about: bytes,
        came: str,
        to: Station,
        mtu: int = 0,
        may_be_aged: bool = False,
        optional: bool = False,
    ) -> Wanted:
        """An ICMP error about a packet that came by the port `came`."""
        sources = {self.interfaces[port].address.ip for port in (came, to.port)}
        made = icmp_error(kind, code, about, to, self.interfaces[to.port], sources, mtu, may_be_aged)
        return Wanted(made.port, made.what, made.kind, made.fault, optional=optional)

    # -- what happens

    def meet(self, router: Handle, *stations: Station) -> None:
        """Each station asks for the router's address, as hosts do first: the router knows it from then on."""
        for station in stations:
            self.arrive(router, station.port, self.ask(station), [self.answer(station)])
            self._met[station] = self.now

    def breathe(self, router: Handle) -> None:
        """Let so much time pass that another error may be expected; who might be forgotten says hello again."""
        self.wait(router, 1.1)
        for station, met in list(self._met.items()):
            if self.now - met > FRESH:
                self.meet(router, station)

    def arrive(
        self, router: Handle, port: str, frame: bytes, wanted: Collection[Wanted], why: str = "", what: str = ""
    ) -> None:
        """A frame arrives; what is `wanted` must come out, and nothing else. `why` is the message where it does not."""
        event = f"{what or self._told(frame)} arrives on {port}"
        try:
            sent = router.receive(port, frame, self.now)
        except LearnerError:
            self.transcript.wrong(f"{self._clock()}{event}: your code failed")
            raise
        self.judge(event, list(wanted), sent, why)

    def wait(self, router: Handle, seconds: float, wanted: Collection[Wanted] = (), why: str = "") -> None:
        """Time passes, with ticks; meanwhile what is `wanted` must come out, and nothing else."""
        end = self.now + seconds
        event = f"{seconds:g} s pass"
        try:
            sent = router.ticks(self.now, end)
        except LearnerError:
            self.transcript.wrong(f"{self._clock()}{event}: your code failed")
            raise
        self.judge(event, list(wanted), sent, why)
        self.now = end

    def judge(self, event: str, wanted: list[Wanted], sent: Frames, why: str = "") -> None:
        """Compare what was sent with what was wanted; packets to one port in the order given."""
        missing, extra = matched(wanted, sent)
        if not missing and not extra:
            self.transcript.say(f"{self._clock()}{event}: {self._all(wanted, sent)}")
            return
        self.transcript.wrong(f"{self._clock()}{event}: {self._all(missing or wanted, [])} must be sent")
        for port, frame in sent[:4]:
            self.transcript.note(f"what was sent out of {port}: {self._told(frame)}")
        raise Failed(self._reason(wanted, missing, extra, why))

    def _reason(self, wanted: list[Wanted], missing: list[Wanted], extra: Frames, why: str) -> str:
        for one in missing:
            alike = [frame for port, frame in extra if kind_of(frame) == one.kind and port == one.port]
            if any(not one.fault(frame) for frame in alike):
                return f"It was sent out of turn: {one.what}. What came first leaves first. {why}".strip()
            if alike:
                meant = max(alike, key=lambda frame: _likeness(frame, one.exact))
                self.transcript.note(f"{shown(meant, one)}")
                return f"{one.fault(meant)} {why}".strip()
        for one in missing:
            for port, frame in extra:
                if kind_of(frame) == one.kind and not one.fault(frame):
                    return f"It left by {port}, must leave by {one.port}: {one.what}."
        for one in missing:
            for _, frame in extra:
                if one.kind in ("packet", "error") and kind_of(frame) == "question":
                    return why or f"The router asked for a MAC address instead: {told(frame)}. It was known already."
        if missing:
            return why or f"Not sent: {missing[0].what}."
        if why and not wanted:
            return why
        return f"Sent, and should not have been: {self._told(extra[0][1])}, out of {extra[0][0]}. {why}".strip()

    def _all(self, wanted: Sequence[Wanted], sent: Frames) -> str:
        needed = [one.what for one in wanted if not one.optional]
        return "; ".join(needed) or ("; ".join(self._told(frame) for _, frame in sent) if sent else "nothing")

    def _told(self, frame: bytes) -> str:
        """A frame in words, with names instead of MAC addresses where there are any."""
        head, _, rest = told(frame).partition(", ")
        if len(frame) < ETHERNET_HEADER or not rest:
            return head
        source, destination = (self._names.get(mac, mac_text(mac)) for mac in (frame[6:12], frame[:6]))
        return f"{source} > {destination}, {rest}"

    def _clock(self) -> str:
        return f"t={self.now - self.start:g} s  "


def matched(wanted: Sequence[Wanted], sent: Frames) -> tuple[list[Wanted], Frames]:
    """What is missing, and what was sent in excess. Frames of one port must come in the order wanted."""
    rest, missing, after = list(sent), [], dict[tuple[str, str], int]()
    for one in wanted:
        place = next(
            (i for i, (port, frame) in enumerate(rest) if port == one.port and not one.fault(frame)),
            None,
        )
        if place is None or place < after.get((one.port, one.kind), 0):
            if not one.optional:
                missing.append(one)
            continue
        after[one.port, one.kind] = place
        del rest[place]
    return missing, rest


def _likeness(frame: bytes, wanted: bytes | None) -> int:
    """How many bytes are the same."""
    return sum(a == b for a, b in zip(frame, wanted or b"", strict=False))


def _routes(count: int) -> str:
    return "no routes of its own" if count == 0 else f"{count:,} route{'s' if count > 1 else ''}"


def shown_route(route: Route) -> str:
    """A route, as `ip route` would write it."""
    via = "" if route.via is None else f" via {route.via}"
    return f"{route.prefix}{via} dev {route.port}"

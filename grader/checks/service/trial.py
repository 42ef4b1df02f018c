"""What the checks of the proxy are written in: Services, a pod, its connections, and what must come of its packets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from grader.check import Failed, Handle, LearnerError
from grader.checks.translation.mistakes import OTHER, shown, went
from grader.checks.translation.trial import TranslationTrial
from grader.checks.translation.wire import ACK, SYN, Datagram
from podpath.configuration import Endpoint, Service
from podpath.datapath import Frames
from podpath.packets import ETH_IPV4, TCP, UDP, ethernet
from podpath.values import Chance

POD, NETWORK = "pod", "network"
NUMBERS = {"TCP": TCP, "UDP": UDP}
NAMES = {number: name for name, number in NUMBERS.items()}
_LEAP = 600.0  # seconds: what is longer passes without ticks but for the last few


@dataclass(frozen=True)
class Talk:
    """A connection of the pod to a Service: a packet of it as the pod sends it, and as its endpoint gets it."""

    asked: Datagram
    seen: Datagram

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.seen.destination, self.seen.dport)

    def more(self, **changes: Any) -> "Talk":
        """Another packet of the same."""
        return Talk(replace(self.asked, **changes), replace(self.seen, **changes))

    def answer(self, payload: bytes = b"", flags: int = ACK, **other: Any) -> tuple[Datagram, Datagram]:
        """What comes back: as the endpoint sends it, and as the pod must get it."""
        sent = self.seen.answer(payload, flags, **other)
        return sent, self.asked.answer(payload, flags, **other)


@dataclass
class ServiceTrial(TranslationTrial):
    """A trial with a cluster's pods, one of which has the proxy at its cable, and with Services' addresses."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._names_given: set[str] = set()
        self.cluster = self.network(10, self.random.choice([14, 15, 17, 18, 19, 20]))
        self.virtual = self.network(172, 20)  # where Services have their addresses
        self.own_mac, self.gateway = (bytes([2]) + self.random.randbytes(5) for _ in range(2))
        self.own = self.pod()

    # -- what takes part

    def pod(self) -> IPv4Address:
        """Another pod."""
        return self.address(self.cluster)

    def endpoints(self, number: int) -> tuple[Endpoint, ...]:
        """So many new pods, each with a port."""
        return tuple(Endpoint(self.pod(), self.port()) for _ in range(number))

    def service(
        self,
        protocol: int,
        endpoints: Sequence[Endpoint] | int,
        address: IPv4Address | None = None,
        port: int | None = None,
        affinity: float | None = None,
    ) -> Service:
        """A Service of its own, with these endpoints, or so many new ones."""
        found = self.endpoints(endpoints) if isinstance(endpoints, int) else tuple(endpoints)
        own = address or self.address(self.virtual)
        return Service(self._name(), own, port or self.port(), NAMES[protocol], found, affinity)

    def _name(self) -> str:
        """The name of a new Service, which no other one has: a cluster has no two of one name, nor of one chain."""
        while True:
            number = self.random.randrange(1000)
            name = f"shop/{self.random.choice(['web', 'cart', 'users', 'stock', 'mail'])}-{number}"
            if name not in self._names_given:
                self._names_given.add(name)
                return name

    def proxy(self, services: Iterable[Service], seed: int | None = None) -> Handle:
        """A new proxy of the learner's."""
        given = list(services)
        chance = Chance(self.random.getrandbits(32) if seed is None else seed)
        with self.transcript.step(f"ServiceProxy({told(given)}, {chance})"):
            made = self.subject.make([POD, NETWORK], given, chance)
        self.transcript.note(f"t={self.now - self.start:g} s is now={self.now!r}")
        return made

    def update(self, proxy: Handle, services: Iterable[Service]) -> None:
        """From now on these are the Services."""
        given = list(services)
        with self.transcript.step(f"{self.clock()}update({told(given)}, now)"):
            sent = proxy.call("update", given, self.now)
            if sent is None:
                raise LearnerError(
                    "update() returned None; it must return a list of frames to send, as receive() does"
                )
            if sent != []:
                raise Failed(f"update() sent something, and had nothing to say; it returned {str(sent)[:80]}")

    def first(self, service: Service, source: IPv4Address | None = None, **other: Any) -> Datagram:
        """The first packet of a connection from the pod, or from another client behind it."""
        given: dict[str, Any] = {"flags": SYN, "numbers": (self.random.getrandbits(32), 0)} | other
        sport = given.pop("sport", None) or self.port()
        return self.datagram(
            NUMBERS[service.protocol], source or self.own, sport, service.address, service.port, **given
        )

    # -- what happens

    def outward(self, packet: bytes, padding: bytes = b"") -> bytes:
        """A packet as the pod sends it to its gateway."""
        return ethernet(self.gateway, self.own_mac, ETH_IPV4, packet + padding)

    def inward(self, packet: bytes, padding: bytes = b"") -> bytes:
        """A packet as the gateway sends it to the pod."""
        return ethernet(self.own_mac, self.gateway, ETH_IPV4, packet + padding)

    def wait(self, seconds: float, *datapaths: Handle) -> None:
        if seconds <= _LEAP:
            super().wait(seconds, *datapaths)
        else:
            self.leap(seconds, *datapaths)

    def leap(self, seconds: float, *datapaths: Handle) -> None:
        """Time passes, with ticks in its last second only."""
        self.transcript.say(f"{self.clock()}{seconds - 1:g} s pass")
        self.now += seconds - 1  # a day has 864,000 ticks
        super().wait(1, *datapaths)

    def opens(self, proxy: Handle, packet: Datagram, among: Sequence[Endpoint], why: str = "") -> Talk:
        """A packet of the pod must reach one of these endpoints; which. `why` is the message if it reaches another."""
        frame = self.outward(packet.packet())
        sent = self.ask(proxy, POD, frame)
        chosen = self.chosen(frame, packet, sent, among, why)
        talk = Talk(packet, packet.sent_to(chosen.address, chosen.port))
        self.judge(POD, frame, sent, [(NETWORK, self.outward(talk.seen.packet()))])
        return talk

    def chosen(
        self, frame: bytes, packet: Datagram, sent: Frames, among: Sequence[Endpoint], why: str = ""
    ) -> Endpoint:
        """Which endpoint a packet was sent to."""
        got = destination(sent)
        for endpoint in among:
            if got == (endpoint.address, endpoint.port):
                return endpoint
        self.transcript.wrong(f"{self.event(POD, frame)}: {went(sent)}")
        raise Failed(_no_endpoint(frame, packet, sent, among, why))

    def goes(self, proxy: Handle, talk: Talk, why: str = "", **changes: Any) -> None:
        """Another packet of the pod must go where the first one went."""
        fresh = {"payload": self.random.randbytes(20), "flags": ACK} | changes
        more = talk.more(**fresh)
        frame = self.outward(more.asked.packet())
        sent = self.ask(proxy, POD, frame)
        end = talk.endpoint
        elsewhere = destination(sent) != (end.address, end.port)
        usual = (
            f"The first packet of this connection went to {at(end)}, and so must all others: another endpoint does not "
            "know of it. It was {got}."
        )
        self.judge(
            POD,
            frame,
            sent,
            [(NETWORK, self.outward(more.seen.packet()))],
            (why or usual) if elsewhere and not more.asked.options else "",
        )

    def comes(self, proxy: Handle, talk: Talk, why: str = "", flags: int = ACK, **changes: Any) -> None:
        """An answer of the endpoint must reach the pod as the Service's."""
        before, after = talk.answer(self.random.randbytes(self.random.randrange(40)), flags, **changes)
        frame = self.inward(before.packet())
        sent = self.ask(proxy, NETWORK, frame)
        usual = (
            f"The answer comes from {before.source}:{before.sport}, but the pod has asked {after.source}:{after.sport}, "
            "and takes nobody else's answer. Put the Service's address and port into its source. It was {got}."
        )
        bare = sent in ([], [(POD, frame)])
        self.judge(NETWORK, frame, sent, [(POD, self.inward(after.packet()))], (why or usual) if bare else "")

    def unknown(self, proxy: Handle, talk: Talk, why: str) -> None:
        """The proxy knows this connection no more: what its endpoint sends passes untouched."""
        before, _ = talk.answer(b"late")
        self.passes(proxy, NETWORK, self.inward(before.packet()), why)

    def harmless(self, proxy: Handle, port: str, frame: bytes, why: str) -> None:
        """A frame is dropped, or passes untouched."""
        sent = self.ask(proxy, port, frame)
        untouched = [(OTHER[port], frame)]
        self.judge(port, frame, sent, untouched if sent == untouched else [], why)

    def draws(
        self, proxy: Handle, packets: Sequence[Datagram], among: Sequence[Endpoint], why: str = ""
    ) -> list[int]:
        """Many connections at once, all of which must reach endpoints of these; which of them, each by its number."""
        frames = [self.outward(packet.packet()) for packet in packets]
        found: list[int] = []
        for begin in range(0, len(frames), 4096):
            few = frames[begin : begin + 4096]
            answers = proxy.receive_all([(POD, frame, self.now) for frame in few])
            for packet, frame, sent in zip(packets[begin:], few, answers, strict=False):
                end = self.chosen(frame, packet, sent, among, why)
                wanted = self.outward(packet.sent_to(end.address, end.port).packet())
                if sent != [(NETWORK, wanted)]:
                    self.judge(POD, frame, sent, [(NETWORK, wanted)])
                found.append(among.index(end))
        self.transcript.say(
            f"{self.clock()}{len(packets)} connections, {shown(frames[0])} the first: each reaches an endpoint"
        )
        return found


def destination(sent: Frames) -> tuple[IPv4Address, int] | None:
    """Where the only frame that was sent goes to, address and port."""
    if len(sent) != 1 or len(sent[0][1]) < 38:
        return None
    frame = sent[0][1]
    ports = 14 + (frame[14] & 15) * 4
    return IPv4Address(frame[30:34]), int.from_bytes(frame[ports + 2 : ports + 4], "big")


def at(endpoint: Endpoint) -> str:
    """An endpoint in words."""
    return f"{endpoint.address}:{endpoint.port}"


def told(services: Sequence[Service]) -> str:
    """Services in words."""
    return f"[{'; '.join(map(_told, services))}]"


def _told(one: Service) -> str:
    stays = f", affinity {one.affinity_seconds:g} s" if one.affinity_seconds is not None else ""
    behind = ", ".join(map(at, one.endpoints)) or "nobody"
    return f"{one.address}:{one.port} {one.protocol} -> {behind}{stays}"


def _no_endpoint(frame: bytes, packet: Datagram, sent: Frames, among: Sequence[Endpoint], why: str) -> str:
    got, here = destination(sent), f"{packet.destination}:{packet.dport}"
    if why:
        return why.format(got=went(sent))
    there = f"one of its endpoints ({', '.join(map(at, among[:4]))}{', ...' if among[4:] else ''})"
    if sent == [(NETWORK, frame)]:
        return f"{here} is a Service, which nobody has for an address: it had to be sent to {there}. It passed untouched."
    if got is not None and got[0] in [one.address for one in among]:
        right = next(one for one in among if one.address == got[0])
        return (
            f"The endpoint {right.address} listens on port {right.port}, and it was sent to its port {got[1]}. An "
            "endpoint has a port of its own."
        )
    return f"{here} is a Service: this had to be sent to {there}. It was {went(sent)}."

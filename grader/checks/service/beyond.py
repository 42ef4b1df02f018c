"""Step 5 of the proxy: a pod that is its own endpoint, flows that look alike, and ICMP errors (RFC 792; RFC 5508, 4)."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from grader.check import Failed, Handle, Step
from grader.checks.service.trial import NETWORK, POD, ServiceTrial, Talk, at
from grader.checks.translation.mistakes import OTHER, went
from grader.checks.translation.wire import ACK, SYN, Datagram, Trouble
from podpath.configuration import Endpoint
from podpath.datapath import Frames
from podpath.packets import ETH_IPV4, TCP, UDP, checksum, ethernet

STEP = Step("Step 5: itself, errors, fragments")

_REDIRECT = 5


@STEP.check(
    "hairpin",
    "a pod that gets itself for an endpoint has its answer, and no two flows are confused",
    1,
    "What a pod asks itself goes back to it, in the Service's name: then its answer goes to the Service, and so to you. And "
    "when two flows would look alike to their endpoint, one of them gets another source port.",
    "SVC-30",
    "NAT-11",
    "NAT-41",
)
def hairpin(t: ServiceTrial) -> None:
    own = Endpoint(t.own, t.port())
    services = [t.service(protocol, [own]) for protocol in (TCP, UDP)]
    mixed = t.service(TCP, [*t.endpoints(1), own])
    proxy = t.proxy([*services, mixed])
    talks = [turned(t, proxy, t.first(service), own) for service in services * 2]
    for talk in t.random.sample(talks, len(talks)):
        answered(t, proxy, talk, flags=SYN | ACK)
        again(t, proxy, talk)
        answered(t, proxy, talk)
    for talk in talks:  # the pod serves others meanwhile, from the same port
        other = t.datagram(talk.asked.protocol, t.pod(), t.port(), own.address, own.port, SYN)
        t.passes(proxy, NETWORK, t.inward(other.packet()), "Another pod asks this one. It was {got}.")
        t.passes(proxy, POD, t.outward(other.answer().packet()), "The pod answers another pod. It was {got}.")
    for talk in _until_both(t, proxy, mixed.endpoints, [t.first(mixed) for _ in range(60)]):
        if talk.endpoint == own:
            answered(t, proxy, talk)
        else:
            t.comes(proxy, talk)
    for protocol in (TCP, UDP):
        _alike(t, protocol, own.address)
        _alike(t, protocol, t.pod())


def _until_both(t: ServiceTrial, proxy: Handle, ends: Sequence[Endpoint], packets: Sequence[Datagram]) -> list[Talk]:
    """Connections until each endpoint has been chosen: within 60 always, but for once in 10^17 trials."""
    talks: list[Talk] = []
    for packet in packets:
        sent = t.ask(proxy, POD, t.outward(packet.packet()))
        if sent and sent[0][0] == POD:
            talks.append(_judged_turn(t, packet, sent, ends[1]))
        else:
            frame = t.outward(packet.packet())
            end = t.chosen(frame, packet, sent, ends[:1], _NOT_TURNED)
            talks.append(Talk(packet, packet.sent_to(end.address, end.port)))
            t.judge(POD, frame, sent, [(NETWORK, t.outward(talks[-1].seen.packet()))])
        if len({talk.endpoint for talk in talks}) == 2:
            return talks
    raise Failed("Of 60 connections all went to the same endpoint, and there are two: the pod itself, and another.")


_NOT_TURNED = (
    "The endpoint that was chosen is the pod itself, so the frame has to turn round and leave by the port that it came "
    "from. It was {got}."
)


def turned(t: ServiceTrial, proxy: Handle, packet: Datagram, own: Endpoint, unlike: int | None = None) -> Talk:
    """A packet to a Service whose endpoint is the pod itself comes back to it. `unlike` is a source port that is taken."""
    sent = t.ask(proxy, POD, t.outward(packet.packet()))
    return _judged_turn(t, packet, sent, own, unlike)


def _judged_turn(t: ServiceTrial, packet: Datagram, sent: Frames, own: Endpoint, unlike: int | None = None) -> Talk:
    frame = t.outward(packet.packet())
    port = _source_port(sent)
    seen = packet.sent_by(packet.destination, port or packet.sport).sent_to(own.address, own.port)
    why = ""
    if len(sent) != 1 or sent[0][0] != POD:
        why = _NOT_TURNED
    elif sent[0][1][26:30] == packet.source.packed:
        why = (
            f"The pod would get it from its own address {packet.source}, and answer itself, past you: with an answer from "
            f"{at(own)}, when it has asked {packet.destination}. Its source must be {packet.destination}."
        )
    elif port and port == unlike:
        why = _ALIKE.format(port=port)
    _unless(t, frame, sent, why)
    t.judge(POD, frame, sent, [(POD, ethernet(t.own_mac, t.gateway, ETH_IPV4, seen.packet()))])
    return Talk(packet, seen)


_ALIKE = "Another flow comes to this endpoint from the same address and port {port}: nobody could tell their answers apart."


def _unless(t: ServiceTrial, frame: bytes, sent: Frames, why: str) -> None:
    """A mistake that is known by name."""
    if why:
        t.transcript.wrong(f"{t.event(POD, frame)}: {went(sent)}")
        raise Failed(why.format(got=went(sent)))


def again(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    """Another packet of the pod to itself."""
    more = talk.more(payload=t.random.randbytes(30), flags=ACK)
    wanted = ethernet(t.own_mac, t.gateway, ETH_IPV4, more.seen.packet())
    t.turns(proxy, POD, t.outward(more.asked.packet()), POD, wanted)


def answered(t: ServiceTrial, proxy: Handle, talk: Talk, flags: int = ACK, **changes: Any) -> None:
    """The pod answers itself, by way of the Service's address."""
    before, after = talk.answer(t.random.randbytes(20), flags, **changes)
    frame, wanted = t.outward(before.packet()), ethernet(t.own_mac, t.gateway, ETH_IPV4, after.packet())
    sent = t.ask(proxy, POD, frame)
    why = (
        f"The pod answers itself; it has asked {after.source}:{after.sport}, and waits for its answer from there. The frame "
        "has to turn round. It was {got}."
    )
    t.judge(POD, frame, sent, [(POD, wanted)], "" if len(sent) == 1 and sent[0][0] == POD else why)


def _source_port(sent: Frames) -> int | None:
    if len(sent) != 1 or len(sent[0][1]) < 38:
        return None
    return int.from_bytes(sent[0][1][34:36], "big")


def _alike(t: ServiceTrial, protocol: int, address: IPv4Address) -> None:
    """Three Services have one endpoint, and the pod uses one port for all of them."""
    end = Endpoint(address, t.port())
    first = t.service(protocol, [end])
    services = [first, t.service(protocol, [end], first.address), t.service(protocol, [end])]
    t.random.shuffle(services)
    proxy, sport = t.proxy(services), t.port()
    talks: list[Talk] = []
    for service in services:
        packet = t.first(service, sport=sport)
        sent = t.ask(proxy, POD, t.outward(packet.packet()))
        why = "Nobody is refused because two connections would look alike: give it another source port. It was {got}."
        _unless(t, t.outward(packet.packet()), sent, why if talks and not sent else "")
        taken = {(talk.seen.source, talk.seen.sport) for talk in talks}
        if address == t.own:
            port = _source_port(sent)
            same = (service.address, port) in taken
            talks.append(_judged_turn(t, packet, sent, end, port if same else None))
        else:
            talks.append(_told_apart(t, packet, sent, end, taken))
    for talk in t.random.sample(talks, 3) + t.random.sample(talks, 3):
        if address == t.own:
            again(t, proxy, talk)
            answered(t, proxy, talk)
        else:
            t.goes(proxy, talk)
            t.comes(proxy, talk)


def _told_apart(
    t: ServiceTrial, packet: Datagram, sent: Frames, end: Endpoint, taken: set[tuple[IPv4Address, int]]
) -> Talk:
    """A flow whose port may have been changed, and must have been if it is taken."""
    frame, port = t.outward(packet.packet()), _source_port(sent)
    t.chosen(frame, packet, sent, [end])
    same = (packet.source, packet.sport) in taken
    chosen = port if port and same else packet.sport
    why = _ALIKE.format(port=port) if (packet.source, port) in taken else ""
    seen = packet.sent_to(end.address, end.port).sent_by(packet.source, chosen)
    _unless(t, frame, sent, why)
    t.judge(POD, frame, sent, [(NETWORK, t.outward(seen.packet()))])
    return Talk(packet, seen)


@STEP.check(
    "errors",
    "an ICMP error about a translated packet is about the packet that its receiver knows",
    1,
    "An ICMP error quotes the packet that it is about. Put back what you changed in the quoted packet, and mend all "
    "checksums: of the quoted header, of the quoted UDP or TCP if it is there, of ICMP, of the outer header.",
    "NAT-07",
    "NAT-21",
    "NAT-34",
    "NAT-35",
    "NAT-36",
    "NAT-46",
    "MNT-08",
    "MNT-09",
)
def errors(t: ServiceTrial) -> None:
    services = [t.service(protocol, 3) for protocol in (TCP, UDP)]
    proxy = t.proxy(services)
    for service in services:
        talk = t.opens(proxy, t.first(service), service.endpoints)
        for quote in (28, 1000):
            unchecked = service.protocol == "UDP" and t.random.random() < 0.5
            talk = talk.more(payload=t.random.randbytes(100), unchecked=unchecked, flags=ACK)
            _to_the_pod(t, proxy, talk, quote)
            _from_the_pod(t, proxy, talk, quote)
        _not_believed(t, proxy, talk)
        t.comes(proxy, talk, "An error ends no flow, or anybody could end it. It was {got}.")
    _refreshes_nothing(t)
    _about_itself(t)


def _to_the_pod(t: ServiceTrial, proxy: Handle, talk: Talk, quote: int, kept: bool = True) -> None:
    """The endpoint, or a router on the way, complains. With `kept` the connection goes on then."""
    for source in (talk.endpoint.address, t.pod()):
        kind, code = t.random.choice([(3, 0), (3, 1), (3, 3), (3, 4), (4, 0), (11, 0), (12, 0)])
        error = about(t, talk.seen, kind, code, source, talk.asked.source, quote)
        wanted = replace(error, quoted=_quoted(talk.asked, quote), source=talk.asked.destination)
        frame, after = t.inward(error.packet(), bytes(4)), t.inward(wanted.packet(), bytes(4))
        sent = t.ask(proxy, NETWORK, frame)
        if source != talk.endpoint.address and sent != [(POD, after)]:  # then Linux does; but it need not be
            after = t.inward(replace(wanted, source=source).packet(), bytes(4))
        t.judge(NETWORK, frame, sent, [(POD, after)])
        if kept:
            t.comes(proxy, talk, "An error ends no flow, or anybody could end it. It was {got}.")


def _from_the_pod(t: ServiceTrial, proxy: Handle, talk: Talk, quote: int) -> None:
    """The pod complains about an answer."""
    before, after = talk.answer(t.random.randbytes(50))
    error = about(t, after, 3, 3, talk.asked.source, talk.asked.destination, quote)
    wanted = replace(error, destination=talk.endpoint.address, quoted=_quoted(before, quote))
    t.turns(proxy, POD, t.outward(error.packet()), NETWORK, t.outward(wanted.packet()))


def about(
    t: ServiceTrial, packet: Datagram, kind: int, code: int, source: IPv4Address, destination: IPv4Address, quote: int
) -> Trouble:
    """An ICMP error that quotes `quote` bytes of a packet."""
    rest = bytes(2) + (1400).to_bytes(2, "big") if (kind, code) == (3, 4) else bytes(4)
    ident, ttl = t.random.getrandbits(16), t.random.randrange(2, 255)
    return Trouble(kind, code, source, destination, _quoted(packet, quote), rest, ident, ttl)


def _quoted(packet: Datagram, quote: int) -> bytes:
    """The beginning of a packet whose TTL has shrunk on its way."""
    return replace(packet, ttl=max(packet.ttl - 1, 1)).packet()[:quote]


def _not_believed(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    """Errors that are damaged, about nothing that is known, or of no use to anybody."""
    router, own = t.pod(), talk.asked.source
    fine = about(t, talk.seen, 3, 3, router, own, 28)
    damaged = replace(fine, damage=t.random.randrange(1, 0xFFFF))
    spoilt = bytearray(fine.quoted)
    spoilt[8] ^= 1 << t.random.randrange(8)
    for wrong, what in (
        (damaged, "Its ICMP checksum"),
        (replace(fine, quoted=bytes(spoilt)), "The header that it quotes"),
    ):
        frame = t.inward(wrong.packet())
        why = f"{what} is damaged, so it must not be put right: drop it, or let it pass as it is. It was {{got}}."
        _left_alone(t, proxy, frame, why)
    other = about(t, talk.seen.sent_to(talk.endpoint.address, talk.endpoint.port ^ 1), 3, 1, router, own, 28)
    t.passes(proxy, NETWORK, t.inward(other.packet()), "It is about no flow of yours. It was {got}.")
    short = replace(fine, quoted=fine.quoted[: t.random.randrange(28)])
    t.harmless(proxy, NETWORK, t.inward(short.packet()), "It quotes less than a header and 8 bytes. It was {got}.")
    hint = about(t, talk.seen, _REDIRECT, 1, router, own, 28)
    why = (
        "It is a redirect: it tells the pod a better way to the endpoint, of which the pod knows nothing. It has to be "
        "dropped. It was {got}."
    )
    t.stopped(proxy, NETWORK, t.inward(replace(hint, rest=router.packed).packet()), why)


def _left_alone(t: ServiceTrial, proxy: Handle, frame: bytes, why: str) -> None:
    """As `harmless`; and a checksum that stays as wrong as it was will do as well."""
    sent = t.ask(proxy, NETWORK, frame)
    kept = len(sent) == 1 and len(sent[0][1]) == len(frame) and sent[0][0] == OTHER[NETWORK] and _unsound(sent[0][1])
    if sent and not kept:
        t.transcript.wrong(f"{t.event(NETWORK, frame)}: {went(sent)}")
        raise Failed(why.format(got=went(sent)))
    t.transcript.say(f"{t.event(NETWORK, frame)}: {went(sent)}")


def _unsound(frame: bytes) -> bool:
    """Whether an ICMP error, or what it quotes, has a wrong checksum still."""
    return bool(checksum(frame[34:])) or bool(checksum(frame[42:62]))


def _refreshes_nothing(t: ServiceTrial) -> None:
    """An error does not keep a flow alive."""
    service = t.service(UDP, 2)
    proxy = t.proxy([service])
    talk = t.opens(proxy, t.first(service), service.endpoints)
    t.wait(80, proxy)
    _to_the_pod(t, proxy, talk, 28, kept=False)
    t.wait(45, proxy)
    t.unknown(proxy, talk, "But for an error this flow has been silent for 125 s, so it is over. It was {got}.")


def _about_itself(t: ServiceTrial) -> None:
    """A pod that is its own endpoint complains to itself."""
    service = t.service(UDP, [Endpoint(t.own, t.port())])
    proxy = t.proxy([service])
    talk = turned(t, proxy, t.first(service), service.endpoints[0])
    error = about(t, talk.seen, 3, 3, t.own, service.address, 1000)
    wanted = replace(error, source=service.address, destination=t.own, quoted=_quoted(talk.asked, 1000))
    after = ethernet(t.own_mac, t.gateway, ETH_IPV4, wanted.packet())
    t.turns(proxy, POD, t.outward(error.packet()), POD, after)

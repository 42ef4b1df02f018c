"""Step 5 of the NAT: errors, hairpins, fragments. RFC 5508, 4 (REQ-3 to REQ-5); RFC 4787, REQ-9, REQ-12 and REQ-14."""

import itertools
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from grader.check import Handle, Step
from grader.checks.egress.trial import INSIDE, OUTSIDE, PROTOCOLS, EgressTrial
from grader.checks.translation.wire import ACK, SYN, Datagram, Trouble
from podpath.datapath import Frames
from podpath.packets import ETH_IPV4, TCP, UDP, ethernet

STEP = Step("Step 5: errors, hairpins, fragments")

# Row NAT-07 of the conformance cases: an error about a UDP datagram that had left from port 61001, and what the pod
# must get.
_ERROR = (
    "450000380000000040018e8fc6336401c000020103034b0f0000000045000021000700003c1180bac0000201cb007109ee490035000dc361",
    "450000380000000040014498c63364010af40105030395060000000045000021000700003c1136c30af40105cb007109c3500035000da463",
)


@STEP.check(
    "error-in",
    "an ICMP error about a pod's packet reaches the pod, as if about the packet that it sent",
    1,
    "An ICMP error quotes the packet that it is about. Put back what you changed in the quoted packet, and mend three "
    "checksums: of the quoted header, of the quoted UDP or TCP if it is there, of ICMP.",
    "NAT-07",
    "NAT-21",
    "NAT-30",
    "NAT-34",
    "NAT-35",
    "MNT-08",
    "MNT-09",
)
def error_in(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample(PROTOCOLS, 3):
        (public, packet), router = _translated(t, nat, protocol)
        ends = "Errors end no flow, or anybody could end it: this must go in. It was {got}."
        for source, quote in itertools.product((router, t.address(t.nodes), packet.destination), (28, 1000)):
            kind, code = t.random.choice([(3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (12, 0)])
            error = _about(t, public, kind, code, source, t.public, quote)
            inside = replace(error, destination=packet.source, quoted=_quoted(packet, quote))
            t.turns(nat, OUTSIDE, t.inward(error.packet(), bytes(4)), INSIDE, t.inward(inside.packet(), bytes(4)))
            t.turns_in(nat, public.answer(), packet, ends)
        _not_believed(t, nat, public, router)
        t.turns_in(nat, public.answer(), packet, "That flow goes on: this must go in. It was {got}.")
    _refreshes_nothing(t)
    _vector(t)


def _translated(t: EgressTrial, nat: Handle, protocol: int) -> tuple[tuple[Datagram, Datagram], IPv4Address]:
    """A packet, as it is outside and as it was inside, with another port; and a router outside."""
    first = t.flow(protocol, flags=SYN)
    t.leaves(nat, first, first.sport)
    packet = replace(first, source=t.pod())
    port = t.leaves(nat, packet, among=set(t.ports) - {first.sport}, why="The port was taken; it left from {got}.")
    return (packet.sent_by(t.public, port), packet), t.server()


def _about(
    t: EgressTrial,
    packet: Datagram,
    kind: int,
    code: int,
    source: IPv4Address,
    destination: IPv4Address,
    quote: int,
) -> Trouble:
    """An ICMP error that quotes `quote` bytes of a packet."""
    rest = bytes(2) + (1400).to_bytes(2, "big") if (kind, code) == (3, 4) else bytes(4)
    ident, ttl = t.random.getrandbits(16), t.random.randrange(2, 255)
    return Trouble(kind, code, source, destination, _quoted(packet, quote), rest, ident, ttl)


def _quoted(packet: Datagram, quote: int) -> bytes:
    """The beginning of a packet whose TTL has shrunk on its way."""
    return replace(packet, ttl=packet.ttl - 1).packet()[:quote]


def _not_believed(t: EgressTrial, nat: Handle, public: Datagram, router: IPv4Address) -> None:
    """Errors that are damaged, or about nothing that a pod has sent."""
    fine = _about(t, public, 3, 3, router, t.public, 28)
    damaged = replace(fine, damage=t.random.randrange(1, 0xFFFF))
    t.stopped(
        nat, OUTSIDE, t.inward(damaged.packet()), "Its ICMP checksum is wrong, so it must be dropped. It was {got}."
    )
    spoilt = bytearray(fine.quoted)
    spoilt[8] ^= 1 << t.random.randrange(8)
    wrong = replace(fine, quoted=bytes(spoilt)).packet()
    why = "The header that it quotes has a wrong checksum, so nobody sent that: it must be dropped. It was {got}."
    t.stopped(nat, OUTSIDE, t.inward(wrong), why)
    elsewhere = _about(t, public.sent_to(t.server(), public.dport), 3, 1, router, t.public, 28)
    why = "It is about a packet that this pod has never sent (another destination). It must be dropped. It was {got}."
    t.stopped(nat, OUTSIDE, t.inward(elsewhere.packet()), why)
    own = _about(t, t.datagram(UDP, t.public, t.port(), t.server(), 33434), 11, 0, router, t.public, 28)
    why = "It is about a packet of the node's own (no pod has that port): it must pass untouched. It was {got}."
    t.passes(nat, OUTSIDE, t.inward(own.packet()), why)
    short = replace(fine, quoted=fine.quoted[: t.random.randrange(28)])
    t.kept_out(
        nat, t.inward(short.packet()), "It quotes less than a header and 8 bytes: no pod may get it. It was {got}."
    )


def _refreshes_nothing(t: EgressTrial) -> None:
    """An error does not keep a flow alive."""
    nat = t.nat()
    packet = t.flow(UDP)
    public = packet.sent_by(t.public, t.leaves(nat, packet))
    t.wait(200, nat)
    error = _about(t, public, 11, 0, t.server(), t.public, 28)
    inside = replace(error, destination=packet.source, quoted=_quoted(packet, 28))
    t.turns(nat, OUTSIDE, t.inward(error.packet()), INSIDE, t.inward(inside.packet()))
    t.wait(105, nat)
    why = "An error keeps no flow alive: that one is over, and this must go to no pod. It was {got}."
    t.kept_out(nat, t.inward(public.answer().packet()), why)


def _vector(t: EgressTrial) -> None:
    """An error that somebody else has made, and somebody else has translated."""
    t.public, t.cluster = IPv4Address("192.0.2.1"), IPv4Network("10.244.0.0/16")
    nat = t.nat(range(61001, 61002), exempt=[])
    packet = t.datagram(UDP, IPv4Address("10.244.1.5"), 50000, IPv4Address("203.0.113.9"), 53, ident=7)
    t.leaves(nat, replace(packet, source=IPv4Address("10.244.1.4")), 50000)
    t.leaves(nat, packet, 61001)
    before, after = (bytes.fromhex(text) for text in _ERROR)
    t.turns(nat, OUTSIDE, t.inward(before), INSIDE, t.inward(after))


@STEP.check(
    "error-out",
    "an ICMP error that a pod sends looks outside as if from the public address, about what was sent to it",
    1,
    "The other way round: the source becomes `public`, and so does the destination of the quoted packet, with its port.",
    "NAT-36",
    "MNT-08",
)
def error_out(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample((TCP, UDP, UDP), 3):
        (public, packet), _ = _translated(t, nat, protocol)
        t.returns(nat, public.answer(), packet.source, packet.sport)
        for source in (packet.source, t.cluster[1]):
            answer = packet.answer(b"to a port that has been closed")
            quote = t.random.choice([28, 1000])
            error = _about(t, answer, 3, 3, source, packet.destination, quote)
            before = answer.sent_to(public.source, public.sport)  # as it was when it came from outside
            outside = replace(error, source=t.public, quoted=_quoted(before, quote))
            t.turns(nat, INSIDE, t.outward(error.packet()), OUTSIDE, t.outward(outside.packet()))
        t.turns_in(nat, public.answer(), packet, "That flow goes on: this must go in. It was {got}.")
        other = replace(packet, destination=t.server()).answer()
        unknown = _about(t, other, 3, 3, packet.source, other.source, 28)
        why = "It is about a packet that no flow knows, and must not leave with a pod's address. It was {got}."
        t.stopped(nat, INSIDE, t.outward(unknown.packet()), why)
        near = _about(t, replace(other, source=t.pod()), 3, 3, packet.source, t.pod(), 28)
        t.passes(
            nat, INSIDE, t.outward(near.packet()), "From pod to pod an error passes as everything does. It was {got}."
        )


@STEP.check(
    "hairpin",
    "a pod reaches another one by way of the public address, and sees it under that address",
    1,
    "Both ends are translated: the source becomes `public`, the destination the pod. The frame turns round.",
    "NAT-18",
    "NAT-29",
    "MNT-10",
)
def hairpin(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample((TCP, UDP), 2):
        known = t.flow(protocol, flags=SYN)
        at = t.leaves(nat, known)
        asked = t.datagram(protocol, t.pod(), known.sport, t.public, at, SYN)
        wanted = asked.sent_to(known.source, known.sport)
        frame = t.outward(asked.packet())
        sent = t.ask(nat, INSIDE, frame)
        port = _source_port(sent)
        t.taken(port)
        seen = wanted.sent_by(t.public, port or 0)
        why = _hairpin_mistake(asked, sent, at)
        t.judge(INSIDE, frame, sent, [(INSIDE, ethernet(t.node, t.gateway, ETH_IPV4, seen.packet()))], why)
        answer = seen.answer(b"hello", SYN | ACK)
        back = answer.sent_by(t.public, at).sent_to(asked.source, asked.sport)
        turned = ethernet(t.node, t.gateway, ETH_IPV4, back.packet())
        t.turns(nat, INSIDE, t.outward(answer.packet()), INSIDE, turned)
        server = known.sent_by(t.public, at).answer(flags=SYN | ACK)
        t.returns(nat, server, known.source, known.sport)
        why = "It comes from outside with the node's own address as its source: it is forged. It was {got}."
        t.stopped(nat, OUTSIDE, t.inward(seen.sent_to(t.public, at).packet()), why)


def _hairpin_mistake(asked: Datagram, sent: Frames, at: int) -> str:
    """What is usually wrong: it goes out, or reaches nobody, or comes with the wrong source; "" if that is not so."""
    if len(sent) != 1 or sent[0][0] == OUTSIDE or sent[0][1][30:34] == asked.destination.packed:
        return f"Port {at} of the public address is a pod's, and may be spoken to by other pods: this must reach it. It was {{got}}."
    if sent[0][1][26:30] == asked.source.packed:
        return (
            f"The other pod sees {asked.source}, and would answer straight to it, past the NAT; but {asked.source} has "
            f"asked {asked.destination}. It must see {asked.destination}."
        )
    return f"Port {at} is the other pod's; two now have it." if _source_port(sent) == at else ""


def _source_port(sent: Frames) -> int | None:
    if len(sent) != 1 or len(sent[0][1]) < 36:
        return None
    return int.from_bytes(sent[0][1][34:36], "big")


@STEP.check(
    "fragments",
    "of a fragmented packet, all fragments are translated alike",
    1,
    "Only the first fragment has the ports. What becomes of it becomes of all that follow it, of the same addresses, "
    "protocol and identification.",
    "NAT-23",
    "NAT-24",
    "MNT-14",
)
def fragments(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample(PROTOCOLS, 3):
        (public, packet), _ = _translated(t, nat, protocol)
        whole = replace(packet, payload=t.random.randbytes(3000), ident=t.random.getrandbits(16))
        seen = whole.sent_by(public.source, public.sport)
        sizes = [8 * t.random.randrange(4, 100), 8 * t.random.randrange(1, 100)]
        _in_order(t, nat, (INSIDE, whole), (OUTSIDE, seen), sizes)
        answer = public.answer(t.random.randbytes(3000), ident=t.random.getrandbits(16))
        _in_order(t, nat, (OUTSIDE, answer), (INSIDE, answer.sent_to(packet.source, packet.sport)), sizes)
    _strays(t, nat)
    _same_identification(t)
    _many(t)


def _framed(t: EgressTrial, port: str, packets: list[bytes], padding: bytes = b"") -> list[bytes]:
    return [(t.outward if port == INSIDE else t.inward)(packet, padding) for packet in packets]


def _in_order(
    t: EgressTrial, nat: Handle, arrives: tuple[str, Datagram], leaves: tuple[str, Datagram], sizes: list[int]
) -> None:
    """All fragments of one packet, the first one first."""
    (at, packet), (to, seen) = arrives, leaves
    befores = _framed(t, at, packet.fragments(sizes))
    afters = _framed(t, at, seen.fragments(sizes))
    pairs = list(zip(befores, afters, strict=True))
    for before, after in [pairs[0], *t.random.sample(pairs[1:], len(pairs) - 1)]:
        t.turns(nat, at, before, to, after)


def _strays(t: EgressTrial, nat: Handle) -> None:
    """Fragments that follow nothing, and a first one that is too short."""
    packet = t.flow(UDP, payload=t.random.randbytes(2000))
    _, *rest = packet.fragments([800, 800])
    for stray in rest:
        frame = t.outward(stray)
        t.stopped(
            nat, INSIDE, frame, "Its first fragment has not been seen, and it must not leave as it is. It was {got}."
        )
    (public, known), _ = _translated(t, nat, TCP)
    short = replace(known, payload=bytes(100), ident=4711).fragments([t.random.choice([8, 16])])
    for number, fragment in enumerate(short):
        why = "This first fragment has less than a whole TCP header, and no checksum to mend: drop it. It was {got}."
        follows = "Its first fragment has been dropped, and it must not leave as it is. It was {got}."
        t.stopped(nat, INSIDE, t.outward(fragment), follows if number else why)
    near = t.datagram(UDP, t.pod(), t.port(), t.pod(), 53, payload=bytes(2000)).fragments([800])
    for fragment in near:
        t.passes(nat, INSIDE, t.outward(fragment), "From pod to pod fragments pass as everything does. It was {got}.")
    t.returns(nat, public.answer(), known.source, known.sport)


def _same_identification(t: EgressTrial) -> None:
    """Two servers answer two pods, by chance with the same identification."""
    nat, ident = t.nat(), t.random.getrandbits(16)
    t.transcript.note(f"fragments of different packets, all with the identification {ident}")
    steps: list[list[tuple[bytes, bytes]]] = [[], []]
    for packet in (t.flow(UDP), t.flow(UDP)):
        port = t.leaves(nat, packet)
        answer = packet.sent_by(t.public, port).answer(t.random.randbytes(500), ident=ident)
        inside = answer.sent_to(packet.source, packet.sport)
        for step, before, after in zip(steps, answer.fragments([80]), inside.fragments([80]), strict=True):
            step.append((t.inward(before), t.inward(after)))
    for step in steps:
        for before, after in step:
            t.turns(nat, OUTSIDE, before, INSIDE, after)


def _many(t: EgressTrial) -> None:
    """Many first fragments, with nothing after them; then one with all that belongs to it."""
    nat = t.nat()
    pod, server, sport = t.pod(), t.server(), t.port()
    with t.transcript.step(
        f"{t.clock()}1,200 first fragments from {pod}, and nothing after them: all are translated"
    ):
        arriving, wanted = [], []
        for ident in t.random.sample(range(1, 1 << 16), 1200):
            packet = t.datagram(UDP, pod, sport, server, 53, payload=bytes(64), ident=ident)
            arriving.append((INSIDE, t.outward(packet.fragments([32])[0]), t.now))
            wanted.append([(OUTSIDE, t.outward(packet.sent_by(t.public, sport).fragments([32])[0]))])
        for (port, frame, _), answer, right in zip(arriving, nat.receive_all(arriving), wanted, strict=True):
            if answer != right:
                t.judge(port, frame, answer, right)
    last = t.datagram(UDP, pod, sport, server, 53, payload=t.random.randbytes(900), ident=0)
    _in_order(t, nat, (INSIDE, last), (OUTSIDE, last.sent_by(t.public, sport)), [400])

"""Step 2 of the NAT: out and back. RFC 3022, 4.1 and 4.2; RFC 1624; RFC 4787, 5."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from grader.check import Handle, Step
from grader.checks.egress.trial import INSIDE, OUTSIDE, PROTOCOLS, EgressTrial
from grader.checks.translation.wire import ACK, CHECKSUM_AT, ECHO, ECHO_REPLY, SYN, Datagram, header
from podpath.packets import ICMP, TCP, UDP

STEP = Step("Step 2: out and back")

# Rows NAT-01, NAT-03 and NAT-05 of the conformance cases: what goes in, and what must come out.
_VECTORS = (
    (
        "45000028000700003f0633c70af40105cb007109c35001bb000003e8000000005002faf0a3fb0000",
        "45000028000700003f067dbec0000201cb007109c35001bb000003e8000000005002faf0edf20000",
    ),
    (
        "45000021000700003f1133c30af40105cb007109c3500035000da4637175657279",
        "45000021000700003f117dbac0000201cb007109c3500035000dee5a7175657279",
    ),
    (
        "4500001e000700003f1133c60af40105cb007109c3500035000ab6083e49",
        "4500001e000700003f117dbdc0000201cb007109c3500035000affff3e49",
    ),
)


@STEP.check(
    "out",
    "TCP, UDP and pings leave with the public address, and right checksums",
    1,
    "The source address becomes `public`; so the header checksum changes, and those of TCP and UDP, which cover it.",
    "NAT-01",
    "NAT-03",
    "MNT-01",
    "PK-05",
)
def out(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample(PROTOCOLS * 2, 6):
        t.leaves(nat, t.flow(protocol, flags=SYN))
    for protocol in PROTOCOLS:
        for packet in (
            t.flow(protocol, options=b"\x94\x04\0\0", flags=SYN),
            t.flow(protocol, tcp_options=bytes([2, 4, 5, 180, 1, 3, 3, 7]), tos=t.random.randrange(256)),
            t.flow(protocol, payload=t.random.randbytes(1400 + t.random.randrange(2))),
            t.flow(protocol, options=t.random.randbytes(40), payload=b"x"),
        ):
            t.leaves(nat, packet)
    short = t.flow(UDP, payload=b"?")
    frame, padding = t.outward(short.packet()), t.random.randbytes(17)
    t.turns(nat, INSIDE, frame + padding, OUTSIDE, t.outward(short.sent_by(t.public, short.sport).packet()) + padding)


@STEP.check(
    "back",
    "an answer finds its way back to the pod that asked",
    1,
    "An answer has the two ends the other way round. Its destination becomes the pod's address and port.",
    "NAT-32",
    "NAT-41",
    "MNT-06",
    "MNT-13",
)
def back(t: EgressTrial) -> None:
    nat = t.nat()
    asked = [t.flow(protocol, flags=SYN) for protocol in t.random.sample(PROTOCOLS * 2, 6)]
    ports = [t.leaves(nat, packet) for packet in asked]
    both = list(zip(asked, ports, strict=True))
    for packet, port in t.random.sample(both, len(both)):
        _answered(t, nat, packet, port, tcp_options=b"\1\1\1\0" if packet.protocol == TCP else b"")
    for packet, port in t.random.sample(both, len(both)):
        again = replace(packet, payload=t.random.randbytes(33), flags=ACK, numbers=(5, 6))
        t.leaves(nat, again, port, why=f"The same flow had left from {port} before; now it left from {{got}}.")
        _answered(t, nat, packet, port, options=t.random.randbytes(8))
        padded = t.inward(packet.sent_by(t.public, port).answer().packet())
        wanted = t.inward(packet.answer().packet())
        t.turns(nat, OUTSIDE, padded + bytes(9), INSIDE, wanted + bytes(9))


def _answered(t: EgressTrial, nat: Handle, packet: Datagram, port: int, **other: object) -> None:
    """The server answers, and the pod gets it."""
    answer = packet.sent_by(t.public, port).answer(t.random.randbytes(t.random.randrange(40)), SYN | ACK, **other)
    t.returns(nat, answer, packet.source, packet.sport)


@STEP.check(
    "checksums",
    "a missing checksum stays missing, and a damaged packet stays damaged",
    1,
    "Mend a checksum by the difference (RFC 1624), do not compute it anew: 0 in UDP means none, and stays 0; a packet "
    "that was damaged on the way must not look sound afterwards.",
    "NAT-04",
    "NAT-05",
    "PK-03",
    "PK-07",
    "PK-09",
)
def checksums(t: EgressTrial) -> None:
    for _ in range(2):
        nat = t.nat()
        packet = t.flow(UDP, unchecked=True)
        port = t.leaves(nat, packet)
        t.returns(nat, packet.sent_by(t.public, port).answer(b"answer"), packet.source, packet.sport)
        for protocol in t.random.sample(PROTOCOLS, 3):
            zero = _summing_to_zero(t, t.flow(protocol), t.public)
            t.leaves(nat, zero, zero.sport)
            back = t.flow(protocol)
            answer = back.sent_by(t.public, t.leaves(nat, back)).answer()
            inside = _summing_to_zero(t, answer.sent_to(back.source, back.sport))
            t.returns(nat, inside.sent_to(t.public, answer.dport), back.source, back.sport)
    for protocol in PROTOCOLS:
        _damaged(t, protocol)
    _vectors(t)


def _summing_to_zero(t: EgressTrial, packet: Datagram, source: IPv4Address | None = None) -> Datagram:
    """The packet with a payload for which the checksum comes out as 0, as it is, or once it is from another source."""
    packet = replace(packet, payload=t.random.randbytes(8) + bytes(2))
    body = (packet if source is None else packet.sent_by(source, packet.sport)).transport()
    missing = body[CHECKSUM_AT[packet.protocol] :][:2]
    return replace(packet, payload=packet.payload[:8] + missing)


def _damaged(t: EgressTrial, protocol: int) -> None:
    """Damaged packets, out and back. To drop them will do as well."""
    nat = t.nat()
    sound = t.flow(protocol, flags=SYN)
    port = t.leaves(nat, sound)
    for _ in range(2):
        damage = t.random.randrange(1, 0xFFFF)
        out, back = replace(sound, damage=damage), sound.sent_by(t.public, port).answer(b"damaged", damage=damage)
        for at, before, after, to in (
            (INSIDE, t.outward(out.packet()), t.outward(out.sent_by(t.public, port).packet()), OUTSIDE),
            (OUTSIDE, t.inward(back.packet()), t.inward(back.sent_to(sound.source, sound.sport).packet()), INSIDE),
        ):
            t.transcript.note("the next packet has been damaged on the way: its checksum does not fit")
            sent = t.ask(nat, at, before)
            t.judge(at, before, sent, [(to, after)] if sent else [])


def _vectors(t: EgressTrial) -> None:
    """Packets that somebody else has made, and somebody else has translated."""
    t.public, t.cluster = IPv4Address("192.0.2.1"), IPv4Network("10.244.0.0/16")
    for before, after in _VECTORS:
        nat = t.nat(exempt=[])
        t.turns(nat, INSIDE, t.outward(bytes.fromhex(before)), OUTSIDE, t.outward(bytes.fromhex(after)))


@STEP.check(
    "unsolicited",
    "what no pod has asked for does not get in",
    1,
    "An answer comes from the very address and port that the pod's port has sent to. From anybody else, to a port that "
    "a pod has, is dropped in silence.",
    "NAT-17",
    "NAT-27",
    "NAT-46",
    "MNT-18",
)
def unsolicited(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample(PROTOCOLS, 3):
        asked = t.flow(protocol, flags=SYN)
        port = t.leaves(nat, asked)
        answer = asked.sent_by(t.public, port).answer(b"answer", SYN | ACK)
        t.returns(nat, answer, asked.source, asked.sport)
        _strangers(t, nat, answer, port)
        t.returns(nat, answer, asked.source, asked.sport)
    asked = t.flow(UDP)
    other = replace(asked, protocol=TCP, flags=SYN)
    t.transcript.note(f"port {asked.sport} of UDP is not port {asked.sport} of TCP")
    t.leaves(nat, asked, asked.sport)
    why = "A pod has that port of UDP, not of TCP; of TCP it is the node's, and has to pass. It was {got}."
    t.passes(nat, OUTSIDE, t.inward(other.sent_by(t.public, asked.sport).answer(flags=SYN).packet()), why)


def _strangers(t: EgressTrial, nat: Handle, answer: Datagram, port: int) -> None:
    """The same packet from elsewhere."""
    echo = answer.protocol == ICMP
    others = [(answer.sent_by(t.server(), answer.sport), "an address to which this pod has not sent")]
    if not echo:
        others.append(
            (answer.sent_by(answer.source, answer.sport ^ 1 << t.random.randrange(16)), "another port of it")
        )
    for packet, whence in others:
        if packet.sport == 0:
            continue
        why = f"This comes from {whence}, and is no answer to anybody. It must be dropped; it was {{got}}."
        for flags in (SYN, ACK) if answer.protocol == TCP else (ACK,):
            t.stopped(nat, OUTSIDE, t.inward(replace(packet, flags=flags).packet()), why)
    if echo:
        request = replace(answer, kind=ECHO, sport=port)
        why = "Somebody pings the node itself, by chance with the identifier of a pod's ping. It was {got}; let it pass."
        t.passes(nat, OUTSIDE, t.inward(request.packet()), why)


@STEP.check(
    "bad-input",
    "cut-off headers and ports of 0 are neither translated nor your end",
    1,
    "From a pod to the outside, what has no whole TCP, UDP or ICMP header, or a port of 0, is dropped.",
    "PK-10",
    "PK-12",
)
def bad_input(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol, least in ((TCP, 20), (UDP, 8), (ICMP, 8)):
        packet = t.flow(protocol, payload=bytes(t.random.randrange(8)))
        options = t.random.choice([b"", t.random.randbytes(4), t.random.randbytes(40)])
        port = t.leaves(nat, replace(packet, options=options))
        answer = packet.sent_by(t.public, port).answer()
        for length in sorted({0, 1, 3, 4, 7, least - 1, t.random.randrange(least)} & set(range(least))):
            body = packet.transport()[:length]
            cut = header(packet.source, packet.destination, protocol, length, ident=9, ttl=9, options=options) + body
            why = f"Of its header of {least} bytes only {length} are there. It must be dropped, and it was {{got}}."
            t.stopped(nat, INSIDE, t.outward(cut, bytes(t.random.choice([0, 26]))), why)
            cut = header(answer.source, t.public, protocol, length, ident=9, ttl=9) + answer.transport()[:length]
            why = f"Of its header of {least} bytes only {length} are there; no pod may get it. It was {{got}}."
            t.kept_out(nat, t.inward(cut), why)
        if protocol != ICMP:
            for sport, dport in ((0, packet.dport), (packet.sport, 0), (0, 0)):
                zero = replace(packet, sport=sport, dport=dport)
                why = "There is no port 0: this must be dropped. It was {got}."
                t.stopped(nat, INSIDE, t.outward(zero.packet()), why)
                frame = t.inward(zero.sent_by(t.public, sport).answer().packet())
                t.kept_out(nat, frame, "There is no port 0, and no pod's flow has it. It was {got}.")
        t.returns(nat, answer, packet.source, packet.sport)
    ping = t.flow(ICMP, kind=ECHO)
    t.transcript.note("the identifier of a ping may be 0: it is a number as any other")
    zero = replace(ping, sport=0)
    port = t.leaves(nat, zero)
    t.returns(nat, zero.sent_by(t.public, port).answer(kind=ECHO_REPLY), zero.source, 0)

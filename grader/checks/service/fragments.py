"""Step 5 of the proxy, its last part: fragments. RFC 791, 2.3; RFC 4787, REQ-14."""

from dataclasses import replace

from grader.check import Handle
from grader.checks.service.beyond import STEP as STEP
from grader.checks.service.beyond import turned
from grader.checks.service.trial import NETWORK, POD, ServiceTrial
from grader.checks.translation.mistakes import OTHER
from grader.checks.translation.wire import Datagram
from podpath.configuration import Endpoint
from podpath.packets import ETH_IPV4, TCP, UDP, ethernet


@STEP.check(
    "fragments",
    "of a fragmented packet, all fragments go the same way",
    1,
    "Only the first fragment has the ports. What becomes of it becomes of all that follow it, of the same addresses, "
    "protocol and identification.",
    "NAT-23",
    "NAT-24",
    "MNT-14",
)
def fragments(t: ServiceTrial) -> None:
    own = Endpoint(t.own, t.port())
    services = [t.service(protocol, 3) for protocol in (TCP, UDP)]
    alone = t.service(UDP, [own])
    proxy = t.proxy([*services, alone])
    sizes = [8 * t.random.randrange(4, 100), 8 * t.random.randrange(1, 100)]
    for service in t.random.sample(services, 2):
        talk = t.opens(proxy, t.first(service), service.endpoints)
        whole = talk.more(payload=t.random.randbytes(3000), ident=t.random.getrandbits(16))
        _in_order(t, proxy, (POD, whole.asked), (NETWORK, whole.seen), sizes)
        _in_order(t, proxy, (NETWORK, (both := talk.answer(t.random.randbytes(3000)))[0]), (POD, both[1]), sizes)
    talk = turned(t, proxy, t.first(alone), own).more(payload=t.random.randbytes(2000), ident=77)
    pairs = zip(talk.asked.fragments(sizes), talk.seen.fragments(sizes), strict=True)
    for before, after in pairs:
        t.turns(proxy, POD, t.outward(before), POD, ethernet(t.own_mac, t.gateway, ETH_IPV4, after))
    _strays(t, proxy, t.first(services[1], payload=t.random.randbytes(2000)))
    _same_identification(t)
    _by_turns(t)
    _many(t)


def _in_order(
    t: ServiceTrial, proxy: Handle, arrives: tuple[str, Datagram], leaves: tuple[str, Datagram], sizes: list[int]
) -> None:
    """All fragments of one packet, the first one first."""
    (port, packet), (to, seen) = arrives, leaves
    framed = t.outward if port == POD else t.inward
    pairs = list(zip(packet.fragments(sizes), seen.fragments(sizes), strict=True))
    for before, after in [pairs[0], *t.random.sample(pairs[1:], len(pairs) - 1)]:
        t.turns(proxy, port, framed(before), to, framed(after))


def _strays(t: ServiceTrial, proxy: Handle, packet: Datagram) -> None:
    """Fragments that follow nothing, or nothing of ours."""
    for fragment in packet.fragments([800, 800])[1:]:
        why = "Its first fragment has not been seen: drop it, keep it, or let it pass as it is. It was {got}."
        t.harmless(proxy, POD, t.outward(fragment), why)
    short = replace(packet, protocol=TCP, payload=bytes(100), ident=4711).fragments([8])[0]
    t.harmless(proxy, POD, t.outward(short), "This first fragment holds less than a TCP header. It was {got}.")
    for port, source, destination in ((POD, t.own, t.pod()), (NETWORK, t.pod(), t.own)):
        framed = t.outward if port == POD else t.inward
        near = t.datagram(UDP, source, t.port(), destination, 53, payload=bytes(2000))
        for fragment in near.fragments([800, 80]):
            t.passes(proxy, port, framed(fragment), "Fragments between pods pass as everything does. It was {got}.")


def _same_identification(t: ServiceTrial) -> None:
    """An endpoint answers by way of the Service, and straight, by chance with the same identification, one after the other."""
    service, ident = t.service(UDP, 1), t.random.getrandbits(16)
    (end,) = service.endpoints
    proxy = t.proxy([service])
    talk = t.opens(proxy, t.first(service), service.endpoints)
    both = talk.answer(t.random.randbytes(500), ident=ident)
    straight = t.datagram(UDP, end.address, t.port(), t.own, t.port(), payload=bytes(500), ident=ident)
    for before, after, why in (
        (both[0], both[1], ""),
        (
            straight,
            straight,
            "This packet is no answer of the Service's, though one before it had the same identification",
        ),
        (both[0], both[1], ""),
    ):
        for one, other in zip(before.fragments([80]), after.fragments([80]), strict=True):
            t.turns(proxy, NETWORK, t.inward(one), POD, t.inward(other), f"{why}. It was {{got}}." if why else "")


def _by_turns(t: ServiceTrial) -> None:
    """Two endpoints answer, by chance with the same identification, and their fragments come by turns."""
    services, ident = [t.service(UDP, 1), t.service(UDP, 1)], t.random.getrandbits(16)
    proxy, pairs = t.proxy(services), []
    for service in services:
        talk = t.opens(proxy, t.first(service), service.endpoints)
        pairs.append(talk.answer(t.random.randbytes(500), ident=ident))
    t.transcript.note(f"fragments of two packets, both with the identification {ident}")
    for number in (0, 1):
        for pair in pairs:
            before, after = (one.fragments([80])[number] for one in pair)
            t.turns(proxy, NETWORK, t.inward(before), POD, t.inward(after))


def _many(t: ServiceTrial) -> None:
    """Many first fragments, with nothing after them; then those that belong to the last 1,000 of them."""
    service = t.service(UDP, 1)
    (end,) = service.endpoints
    proxy, sport = t.proxy([service]), t.port()
    first = t.first(service, sport=sport)
    t.opens(proxy, first, service.endpoints)
    packets = [replace(first, payload=bytes(64), ident=ident) for ident in t.random.sample(range(1 << 16), 1100)]
    for number, chosen, what in (
        (0, packets, "1,100 first fragments"),
        (1, packets[-1000:], "what follows the last 1,000"),
    ):
        with t.transcript.step(f"{t.clock()}{what}: all are translated"):
            befores = [t.outward(packet.fragments([32])[number]) for packet in chosen]
            arriving = [(POD, frame, t.now) for frame in befores]
            for packet, before, sent in zip(chosen, befores, proxy.receive_all(arriving), strict=True):
                after = t.outward(packet.sent_to(end.address, end.port).fragments([32])[number])
                why = "Its first fragment was one of the last 1,024. It was {got}." if number and not sent else ""
                if sent != [(OTHER[POD], after)]:
                    t.judge(POD, before, sent, [(OTHER[POD], after)], why)

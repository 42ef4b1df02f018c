"""Step 2 of the router, continued: how long a neighbour is remembered, and how long it is waited for. RFC 1122, 2.3.2."""

from grader.check import Failed, Handle
from grader.checks.router import neighbours
from grader.checks.router.expect import Station, Wanted, kind_of
from grader.checks.router.neighbours import LEAST_HELD, freed, reaches
from grader.checks.router.trial import RouterTrial

TRIES = 3
MOST_HELD = 16  # packets for one next hop


@neighbours.STEP.check(
    "arp-age",
    "what it learned holds for 60 seconds; using it does not make it younger",
    1,
    "An entry lives for 60 s after the last ARP from that neighbour. Then ask again, when there is a packet to send.",
    "RT-41",
)
def ages(t: RouterTrial) -> None:
    ports = t.links(2)
    a, b, c = t.station(ports[0], "A"), t.station(ports[1], "B"), t.station(ports[1], "C")
    router = t.router()
    t.meet(router, b, c)
    early = "{} told its MAC address {} s ago, and the router asked again: entries live for 60 s."
    t.wait(router, 30, [], "There is no packet to send, so there is nothing to ask.")
    reaches(t, router, a, b, early.format("B", 30))
    t.meet(router, c)
    t.wait(router, 29, [], "There is no packet to send, so there is nothing to ask.")
    reaches(t, router, a, b, early.format("B", 59))
    t.wait(router, 2, [], "There is no packet to send, so there is nothing to ask.")
    packet = t.packet(a.address, b.address)
    t.arrive(
        router,
        a.port,
        t.frame(a, packet),
        [t.question(b)],
        "B told its MAC address 61 s ago, and the router still used it. Entries live for 60 s, counted from the last ARP "
        "from B: that packets were sent to it makes no difference.",
    )
    moved = t.moved(b)
    t.arrive(router, b.port, t.tell(moved), [t.forwarded(packet, moved, ttl_matters=False)], freed(moved))
    t.wait(router, 20, [])
    reaches(t, router, a, c, early.format("C", 51))
    reaches(t, router, a, moved, early.format("B", 20))


@neighbours.STEP.check(
    "arp-give-up",
    "it asks three times, a second apart, then lets the packets go; it holds a bounded number",
    1,
    "Ask at once, after 1 s and after 2 s; after 3 s give up. Hold at least 3 packets for a next hop, and at most 16.",
    "RT-37",
    "RT-48",
    "MRT-21",
)
def gives_up(t: RouterTrial) -> None:
    ports = t.links(2)
    a, b, c = t.station(ports[0], "A"), t.station(ports[1], "B"), t.station(ports[1], "C")
    router = t.router()
    t.meet(router, a)
    lost = t.packet(a.address, b.address)
    _three_questions(t, router, a, b, lost)
    t.arrive(
        router,
        b.port,
        t.tell(b),
        [],
        "B answers long after the router has given up. What waited for it is gone by then, and must not come back.",
    )
    packet = t.packet(a.address, c.address)
    t.arrive(router, a.port, t.frame(a, packet), [t.question(c)])
    t.wait(router, 0.9, [], _SOON)
    t.wait(router, 0.4, [t.question(c)], _again(c, 1))
    t.arrive(router, c.port, t.tell(c), [t.forwarded(packet, c, ttl_matters=False)], freed(c))
    t.wait(router, 5, [], "C has answered: there is nothing left to ask.")
    d = t.station(ports[1], "D")
    _three_questions(t, router, a, d, t.packet(a.address, d.address))
    t.meet(router, a)
    packet = t.packet(a.address, d.address)
    why = "The router has given D up some time ago. This is a new packet: begin anew, and ask at once."
    t.arrive(router, a.port, t.frame(a, packet), [t.question(d)], why)
    t.arrive(router, d.port, t.tell(d), [t.forwarded(packet, d, ttl_matters=False)], freed(d))
    _bounded(t, router, a, t.station(ports[1], "E"))


_SOON = "A question is repeated after one second, not sooner."


def _again(hop: Station, second: int) -> str:
    return (
        f"{hop.name} has not answered for {second} s. Ask again, one second after the last time: questions get lost, too. "
        "(`tick` is called at least every 0.1 s.)"
    )


def _three_questions(t: RouterTrial, router: Handle, a: Station, b: Station, packet: bytes) -> None:
    t.arrive(router, a.port, t.frame(a, packet), [t.question(b)])
    for second in range(1, TRIES):
        t.wait(router, 0.9 if second == 1 else 0.5, [], _SOON)
        t.wait(router, 0.4 if second == 1 else 0.7, [t.question(b)], _again(b, second))
    gone = Wanted(a.port, "an ICMP error, or nothing", "error", _is_error, optional=True)
    why = f"{b.name} was asked three times. Give it up one second after the third; ask no more until there is a new packet."
    t.wait(router, 7, [gone], why)


def _is_error(frame: bytes) -> str:
    return "" if kind_of(frame) == "error" else "It is something else."


def _bounded(t: RouterTrial, router: Handle, a: Station, hop: Station) -> None:
    """Many packets for one neighbour that has not answered yet."""
    packets = [t.packet(a.address, hop.address) for _ in range(40)]
    with t.transcript.step(f"{len(packets)} packets for {hop.name} arrive, which is not known"):
        answers = router.receive_all([(a.port, t.frame(a, packet), t.now) for packet in packets])
        first, *others = answers
        t.judge("the first", [t.question(hop)], first)
        for sent in others:
            t.judge("another", [], sent, "One question a second is enough, however many packets wait.")
    sent = router.receive(hop.port, t.tell(hop), t.now)
    held = [t.forwarded(packet, hop, ttl_matters=False) for packet in packets]
    which = [next((i for i, one in enumerate(held) if not one.fault(frame)), -1) for _, frame in sent]
    event = f"{hop.name} answers: {len(sent)} packets leave"
    if which != sorted(set(which)) or -1 in which:
        t.transcript.wrong(event)
        raise Failed(
            "The packets that waited must leave in the order in which they came, each once, and as they were."
        )
    if not LEAST_HELD <= len(sent) <= MOST_HELD:
        t.transcript.wrong(event)
        raise Failed(
            f"Of 40 packets that waited for {hop.name}, {len(sent)} were held. At least {LEAST_HELD}, at most {MOST_HELD}: "
            "anyone can send packets to an address that does not answer, and must not fill the node's memory with them."
        )
    t.transcript.say(event)

"""Step 2 of the router: the MAC address of the next hop, by ARP. RFC 826; RFC 1122, 2.3.2."""

from ipaddress import IPv4Address, IPv4Network

from grader.check import Handle, Step
from grader.checks.router.expect import Station
from grader.checks.router.trial import RouterTrial
from podpath.configuration import Route
from podpath.packets import BROADCAST

STEP = Step("Step 2: find the neighbour")
LEAST_HELD = 3  # packets for one next hop, of those that wait


@STEP.check(
    "arp-answer",
    "it says which MAC address its own addresses have, and answers for nobody else",
    1,
    "Answer a request for the address that the port has, to the one who asked. Ignore what is malformed or not for you.",
    "RT-33",
    "RT-38",
    "RT-39",
    "RT-47",
    "RT-49",
)
def answers(t: RouterTrial) -> None:
    ports = t.links(3)
    router = t.router()
    for port in ports:
        a, b = t.station(port, "A"), t.station(port, "B")
        t.arrive(router, port, t.ask(a), [t.answer(a)])
        t.arrive(router, port, t.ask(b, to=t.interfaces[port].mac), [t.answer(b)])
        t.arrive(router, port, t.ask(a).ljust(60, b"\0"), [t.answer(a)])
        for name, target in (("B", b.address), ("somebody else", t.far(t.network(24))), ("itself", a.address)):
            t.arrive(
                router,
                port,
                t.ask(a, target),
                [],
                f"A asked for {target}, which is {name}'s, and the router answered. It answers for its own address only.",
            )
        t.arrive(
            router,
            port,
            t.ask(a, to=b.mac),
            [],
            f"The frame was for B's MAC address, {b.mac.hex(':')}, and the router answered. Ignore what is for others.",
        )
        t.arrive(router, port, t.tell(b), [], "An ARP answer is not answered.")
    for what, frame in _malformed(t, a):
        t.arrive(router, port, frame, [], f"This is ARP with {what}, and the router sent {{}}. Ignore it.", what)
    t.arrive(router, port, t.ask(a), [t.answer(a)])


def _malformed(t: RouterTrial, asking: Station) -> list[tuple[str, bytes]]:
    """ARP requests for the router's address that are none."""
    good = t.ask(asking)

    def patched(at: int, value: bytes) -> bytes:
        return good[:at] + value + good[at + len(value) :]

    found = [
        ("hardware type 6", patched(14, b"\0\6")),
        ("protocol type 0x86dd", patched(16, b"\x86\xdd")),
        ("MAC addresses of 8 bytes", patched(18, b"\x08")),
        ("IP addresses of 16 bytes", patched(19, b"\x10")),
        ("operation 3, as in RARP,", patched(20, b"\0\3")),
        ("operation 0", patched(20, b"\0\0")),
        ("operation 257", patched(20, b"\1\1")),
    ]
    cut = sorted({41, 40, 28, 22, 21, 15, 14, t.random.randrange(14, 41)})
    return found + [(f"only {size - 14} of its 28 bytes", good[:size]) for size in cut]


@STEP.check(
    "arp-ask",
    "it asks for the next hop once, holds packets meanwhile, and sends them in order when the answer comes",
    1,
    "Without `via` the next hop is the destination itself. Ask for it once; hold what is for it; then send all, in order.",
    "RT-01",
    "RT-02",
    "RT-35",
    "RT-36",
    "RT-37",
    "RT-44",
    "MRT-05",
    "MRT-06",
    "MRT-19",
    "MRT-20",
    "MRT-21",
)
def asks(t: RouterTrial) -> None:
    ports = t.links(3)
    beyond = t.network(24)
    a, b = t.station(ports[0], "A"), t.station(ports[1], "B")
    c, gateway = t.station(ports[1], "C"), t.station(ports[2], "the gateway")
    router = t.router(Route(beyond, ports[2], gateway.address), Route(IPv4Network("0.0.0.0/0"), ports[1], b.address))
    _held_then_sent(t, router, a, b, b.address)
    _held_then_sent(t, router, a, gateway, t.far(beyond))
    for final, hop in ((t.far(beyond), gateway), (IPv4Address("203.0.113.9"), b), (b.address, b)):
        packet = t.packet(a.address, final)
        t.arrive(
            router,
            a.port,
            t.frame(a, packet),
            [t.forwarded(packet, hop, ttl_matters=False)],
            f"The MAC address of {hop.name} is known by now: send the packet at once, and ask no more.",
        )
    # Two wait at the same time; each answer frees its own.
    d = t.station(ports[2], "D")
    waiting = {hop: t.packet(a.address, hop.address) for hop in (c, d)}
    for hop, packet in waiting.items():
        t.arrive(router, a.port, t.frame(a, packet), [t.question(hop)])
    for hop in (d, c):
        t.arrive(router, hop.port, t.tell(hop), [t.forwarded(waiting[hop], hop, ttl_matters=False)], freed(hop))


def _held_then_sent(t: RouterTrial, router: Handle, a: Station, hop: Station, final: IPv4Address) -> None:
    packets = [t.packet(a.address, final) for _ in range(LEAST_HELD)]
    first, *more = packets
    t.arrive(router, a.port, t.frame(a, first), [t.question(hop, final)])
    for packet in more:
        t.wait(router, 0.2, [])
        t.arrive(
            router,
            a.port,
            t.frame(a, packet),
            [],
            f"The question for {hop.name} is under way: one a second is enough, however many packets wait for it.",
        )
    wanted = [t.forwarded(packet, hop, ttl_matters=False) for packet in packets]
    t.arrive(router, hop.port, t.tell(hop), wanted, freed(hop))
    t.wait(router, 2.5, [], f"{hop.name} has answered, and its packets have been sent; there is nothing left to do.")


def freed(hop: Station) -> str:
    """What is said when an answer does not set free what waited for it."""
    return (
        f"{hop.name} has answered, so the packets that waited for it must leave now, in the order in which they came, and "
        "nothing else. The first packet of a flow is not lost: it waits, too."
    )


@STEP.check(
    "arp-learn",
    "it learns from ARP that is for it, and believes the newest; nothing else teaches it",
    1,
    "ARP for your address says: sender's IP, sender's MAC. Known neighbours may change it at any time. No packet does.",
    "RT-33",
    "RT-40",
    "RT-42",
    "RT-46",
    "RT-47",
    "MRT-18",
)
def learns(t: RouterTrial) -> None:
    t.begin_at(0.0)  # as good a time as any: `if heard_at:` is a mistake
    ports = t.links(3)
    here, there = ports[0], ports[1]
    a, b, c, d = t.station(here, "A"), t.station(there, "B"), t.station(there, "C"), t.station(there, "D")
    router = t.router()
    t.meet(router, a, b)
    reaches(
        t, router, a, b, "B asked for the router's address: that told its own, and the router need not ask for it."
    )
    _moves(t, router, a, b)
    t.arrive(router, there, t.ask(c, d.address), [])
    packet = t.packet(a.address, d.address)
    t.arrive(
        router,
        here,
        t.frame(a, packet),
        [t.question(d)],
        f"C asked who has {d.address}, which is D. The only mapping that a request teaches is that of its sender; do not "
        f"store {d.address} with C's MAC address.",
    )
    t.arrive(
        router,
        there,
        t.ask(d),
        [t.answer(d), t.forwarded(packet, d, ttl_matters=False)],
        "D asked for the router's address, and so told its own. A packet was waiting for that: it must leave now.",
    )
    f = t.station(there, "F")
    t.arrive(router, there, t.tell(f), [])
    reaches(
        t,
        router,
        a,
        f,
        "F has told its MAC address, to the router, which had not asked. That is as good as an answer.",
    )
    e = t.station(there, "E")
    packet = t.packet(e.address, a.address)
    t.arrive(router, there, t.frame(e, packet), [t.forwarded(packet, a, ttl_matters=False)])
    t.arrive(
        router,
        here,
        t.frame(a, t.packet(a.address, e.address)),
        [t.question(e)],
        "E has sent a packet, and no ARP. The MAC address that a packet comes from is that of the last hop, and may be "
        "a router's: only ARP teaches.",
    )


def reaches(t: RouterTrial, router: Handle, a: Station, to: Station, why: str) -> None:
    """A packet from `a` is handed to a neighbour that is known."""
    packet = t.packet(a.address, to.address)
    t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, to, ttl_matters=False)], why)


def _moves(t: RouterTrial, router: Handle, a: Station, b: Station) -> None:
    """B gets another MAC address, and says so to everybody; others only pretend."""
    for operation, target in ((1, b.address), (2, b.address), (1, t.interfaces[b.port].address.ip)):
        moved = t.moved(b)
        reply = [t.answer(moved)] if target != b.address else []
        t.arrive(router, b.port, t.arp(operation, moved, target, bytes(6), BROADCAST), reply)
        reaches(t, router, a, moved, "B is known, and has told everybody its new MAC address: the newest is right.")
    liar = Station("B", b.port, t.mac(), b.address)
    own = t.interfaces[b.port]
    good = t.arp(2, liar, own.address.ip, own.mac, own.mac)
    lies = [
        ("ARP with hardware type 6", good[:14] + b"\0\6" + good[16:]),
        ("ARP with protocol type 0x86dd", good[:16] + b"\x86\xdd" + good[18:]),
        ("ARP that is cut short", good[:40]),
        ("ARP for another MAC address", t.mac() + good[6:]),
    ]
    for what, frame in lies:
        t.arrive(router, b.port, frame, [], f"Nothing is to be sent for {what}.", what)
        reaches(t, router, a, moved, f"B's MAC address was changed by {what}, which must not teach anything.")
    packet = t.packet(b.address, a.address)
    t.arrive(router, b.port, t.frame(liar, packet), [t.forwarded(packet, a, ttl_matters=False)])
    why = "A packet with B's IP address came from another MAC address, which may be a router's. It must not teach anything."
    reaches(t, router, a, moved, why)

"""Step 4 of the router: packets for the router itself, and what it tells the senders of others. RFC 792; RFC 1812, 4.3."""

from ipaddress import IPv4Address

from grader.check import Failed, Handle, LearnerError, Step
from grader.checks.router.datagram import DONT_FRAGMENT, MORE_FRAGMENTS, datagram, icmp
from grader.checks.router.expect import Station
from grader.checks.router.own import echo_reply
from grader.checks.router.trial import RouterTrial
from podpath.configuration import Route
from podpath.packets import ICMP, TCP, UDP, icmp_echo, udp

STEP = Step("Step 4: answer, and say what went wrong")
TOO_LARGE = "needs fragmentation"  # the reason under which `dropped()` counts


@STEP.check(
    "echo",
    "it answers pings to its own addresses, also with TTL 1, and forwards nothing that is for itself",
    1,
    "What is for one of your addresses goes no further, so its TTL does not matter. Answer echo requests from that address.",
    "RT-19",
    "RT-29",
    "RT-60",
    "RT-61",
)
def echoes(t: RouterTrial) -> None:
    ports = t.links(3)
    beyond = t.network(24)
    a, b, gateway = t.station(ports[0], "A"), t.station(ports[1], "B"), t.station(ports[2], "the gateway")
    router = t.router(Route(beyond, ports[2], gateway.address))
    t.meet(router, a, b, gateway)
    for one in t.interfaces.values():
        for ttl, length in ((64, 56), (1, 0), (1, 1), (255, 333), (2, 1400)):
            _pinged(t, router, a, _echo(t, a.address, one.address.ip, ttl, length), a)
    _pinged(t, router, a, _echo(t, a.address, t.interfaces[b.port].address.ip, 64, 9, options=b"\1\1\1\0"), a)
    far = t.far(beyond)
    request = _echo(t, far, t.interfaces[a.port].address.ip, 64, 56)
    why = (
        f"An echo request from {far} came by {b.port}, but the route to {far} is by way of the gateway on {gateway.port}. "
        "What the router itself sends is looked up like any packet."
    )
    wanted = echo_reply(request, gateway, t.interfaces[gateway.port])
    t.arrive(router, b.port, t.frame(b, request), [wanted], why)
    _unanswered(t, router, a)
    _own_packets_wait_too(t, router, b)


def _echo(
    t: RouterTrial, source: IPv4Address, destination: IPv4Address, ttl: int, length: int, options: bytes = b""
) -> bytes:
    message = icmp_echo(8, t.random.randrange(65536), t.random.randrange(65536), t.random.randbytes(length))
    return datagram(
        source, destination, ICMP, message, ttl, t.random.randrange(65536), DONT_FRAGMENT, options=options
    )


def _pinged(t: RouterTrial, router: Handle, by: Station, request: bytes, to: Station) -> None:
    asked, ttl = IPv4Address(request[16:20]), request[8]
    why = f"{asked} is an address of the router's own: it answers the echo request."
    if ttl < 2:
        why = (
            f"The packet is for {asked}, the router itself, and has arrived: its TTL of {ttl} limits forwarding only. Look "
            "whether it is for you before you look at the TTL."
        )
    t.arrive(router, by.port, t.frame(by, request), [echo_reply(request, to, t.interfaces[to.port])], why)


def _unanswered(t: RouterTrial, router: Handle, a: Station) -> None:
    """For the router, but no echo request, or a broken one."""
    own = t.interfaces[a.port].address.ip
    good = _echo(t, a.address, own, 64, 20)
    message = good[20:]
    flipped = message[:9] + bytes([message[9] ^ 4]) + message[10:]
    reply = icmp_echo(0, 1, 1, b"reply")
    for what, content in (
        ("an echo request with a wrong ICMP checksum", flipped),
        ("an echo reply", reply),
        ("an ICMP message that is cut short", message[:5]),
        ("an ICMP message of 0 bytes", b""),
        ("an ICMP error", icmp(3, 1, bytes(28))),
    ):
        packet = datagram(a.address, own, ICMP, content)
        t.arrive(router, a.port, t.frame(a, packet), [], f"This is {what}, for the router itself. Drop it.", what)
    for protocol, content in ((UDP, udp(40000, 33434, b"anybody?")), (TCP, bytes(20)), (UDP, b"")):
        packet = datagram(a.address, own, protocol, content, ttl=t.random.choice([1, 64]))
        what = f"a packet of protocol {protocol} for the router itself"
        code = 3 if protocol == UDP else 2
        told = t.error(3, code, packet, a.port, a, optional=True)
        t.arrive(router, a.port, t.frame(a, packet), [told], f"This is {what}. It goes no further: drop it.", what)
        t.wait(router, 1.1)


def _own_packets_wait_too(t: RouterTrial, router: Handle, b: Station) -> None:
    """An echo request from a neighbour that never answers ARP: the reply waits, and then nobody is told."""
    silent = t.station(b.port, "S")
    request = _echo(t, silent.address, t.interfaces[b.port].address.ip, 64, 30)
    t.arrive(
        router,
        b.port,
        t.frame(silent, request),
        [t.question(silent)],
        "The reply is for S, whose MAC address no ARP has told: it waits like any packet, and S is asked for.",
    )
    own = "Nobody answers ARP for a packet of the router's own. Let it go: there is nobody to tell."
    t.wait(router, 2.5, [t.question(silent), t.question(silent)], own)
    t.wait(router, 3, [], own)


@STEP.check(
    "time-exceeded",
    "a packet whose time is over is dropped, and its sender told so",
    1,
    "TTL 1 or 0 on arrival: ICMP 11/0 to the sender, from the address of the port, with the packet as it arrived in it.",
    "RT-17",
    "RT-18",
    "RT-50",
    "RT-51",
    "RT-55",
    "RT-58",
    "RT-59",
    "RT-63",
    "MRT-12",
    "MRT-14",
    "MRT-15",
)
def time_exceeded(t: RouterTrial) -> None:
    ports = t.links(3)
    beyond = t.network(24)
    a, b, gateway = t.station(ports[0], "A"), t.station(ports[1], "B"), t.station(ports[2], "the gateway")
    router = t.router(Route(beyond, ports[2], gateway.address))
    t.meet(router, a, b, gateway)
    packet = t.packet(a.address, b.address, ttl=2)
    t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, b)])
    for what, late in _late(t, a.address, b.address):
        wanted = t.error(11, 0, late, a.port, a)
        why = f"The packet, {what}, had TTL 1 and was dropped; A is told so. Of ICMP, only errors are not answered."
        t.arrive(router, a.port, t.frame(a, late), [wanted], why, f"{what} with TTL 1, {len(late)} bytes,")
        t.breathe(router)
    far = t.far(beyond)
    for late in (t.packet(far, b.address, ttl=1), t.packet(far, t.far(t.interfaces[a.port].address.network), ttl=1)):
        wanted = t.error(11, 0, late, gateway.port, gateway)
        t.arrive(router, gateway.port, t.frame(gateway, late), [wanted])
        t.breathe(router)
    dead = t.packet(a.address, b.address, ttl=0)
    told = t.error(11, 0, dead, a.port, a, optional=True)
    why = "A packet that arrives with TTL 0 has been on its way for too long: it is not forwarded, least of all with 255."
    t.arrive(router, a.port, t.frame(a, dead), [told], why)


def _late(t: RouterTrial, source: IPv4Address, destination: IPv4Address) -> list[tuple[str, bytes]]:
    def made(protocol: int, content: bytes, fragment: int = 0, options: bytes = b"") -> bytes:
        return datagram(
            source, destination, protocol, content, 1, t.random.randrange(65536), fragment, options=options
        )

    content = t.random.randbytes(60)
    return [
        ("UDP", made(UDP, udp(40000, 33434, content))),
        ("UDP that fills its frame", made(UDP, udp(40000, 33434, t.random.randbytes(1472)), DONT_FRAGMENT)),
        ("an echo request", made(ICMP, icmp_echo(8, 7, 1, content))),
        ("an echo reply", made(ICMP, icmp_echo(0, 7, 1, content))),
        ("TCP", made(TCP, content[:20])),
        ("a packet with 4 bytes behind its header", made(132, b"four")),
        ("a packet with nothing behind its header", made(132, b"")),
        ("a packet with options, IHL 6,", made(UDP, udp(1, 2, content), options=b"\1\1\1\0")),
        ("a packet with options, IHL 15,", made(UDP, udp(1, 2, content), options=b"\1" * 40)),
        ("a first fragment", made(UDP, udp(1, 2, content), MORE_FRAGMENTS)),
    ]


@STEP.check(
    "unreachable",
    "where there is no route, or nobody answers, the sender is told which",
    1,
    "No route: ICMP 3/0 at once. A next hop that does not answer ARP: 3/1, when you give it up, about what waited.",
    "RT-12",
    "RT-48",
    "MRT-16",
)
def unreachable(t: RouterTrial) -> None:
    ports = t.links(3)
    beyond, known = t.network(24), t.network(24)
    a, silent = t.station(ports[0], "A"), t.station(ports[1], "B")
    gateway, gone = t.station(ports[2], "the gateway"), t.station(ports[1], "the other gateway")
    router = t.router(Route(beyond, ports[2], gateway.address), Route(known, ports[1], gone.address))
    t.meet(router, a, gateway)
    packet = t.packet(a.address, t.far(beyond))
    t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, gateway)])
    nowhere = t.network(24)
    for station, source in ((a, a.address), (gateway, t.far(beyond))):
        packet = t.packet(source, t.far(nowhere), size=t.random.choice([28, 100, 1400]))
        wanted = t.error(3, 0, packet, station.port, station)
        why = f"There is no route to {IPv4Address(packet[16:20])}: its sender is told, network unreachable, 3/0."
        t.arrive(router, station.port, t.frame(station, packet), [wanted], why)
        t.breathe(router)
    strange = t.packet(t.far(nowhere), t.far(nowhere))
    why = "There is no route to where the packet goes, nor to where it came from: there is nobody to tell."
    t.arrive(router, a.port, t.frame(a, strange), [], why)
    for hop, far in ((silent, silent.address), (gone, t.far(known))):
        _nobody_answers(t, router, hop, far, (a, a.address), (gateway, t.far(beyond)))


def _nobody_answers(
    t: RouterTrial, router: Handle, hop: Station, to: IPv4Address, *senders: tuple[Station, IPv4Address]
) -> None:
    """Packets of two senders wait for a next hop that never answers; each sender is told."""
    waiting = [(station, t.packet(source, to)) for station, source in senders]
    t.meet(router, *(station for station, _ in waiting))
    for number, (station, packet) in enumerate(waiting):
        t.arrive(router, station.port, t.frame(station, packet), [] if number else [t.question(hop)])
    t.wait(router, 2.7, [t.question(hop), t.question(hop)], f"{hop.name} is asked for again after 1 s and after 2 s.")
    errors = [t.error(3, 1, packet, station.port, station, may_be_aged=True) for station, packet in waiting]
    why = (
        f"{hop.name} has not answered for 3 s. The packets that waited for it are dropped, and each of their senders is told: "
        "host unreachable, 3/1."
    )
    t.wait(router, 1, errors, why)
    t.wait(router, 2, [])


@STEP.check(
    "too-large",
    "what does not fit the next link is not sent: with DF its sender is told the MTU, without it is counted",
    1,
    "A packet larger than the MTU of the port it leaves by: with DF, ICMP 3/4 with that MTU; without, drop and count.",
    "RT-52",
    "RT-53",
    "MRT-26",
)
def too_large(t: RouterTrial) -> None:
    narrow = t.random.randrange(600, 1400)
    ports = t.links(2, mtus=(1500, narrow))
    a, b = t.station(ports[0], "A"), t.station(ports[1], "B")
    router = t.router()
    t.meet(router, a, b)
    for size in (narrow - 1, narrow):
        packet = t.packet(a.address, b.address, size=size)
        why = f"The packet has {size} bytes, and the MTU of {b.port} is {narrow}: it fits. (The MTU does not count Ethernet.)"
        t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, b)], why)
    for size in (narrow + 1, 1500):
        packet = t.packet(a.address, b.address, size=size)
        wanted = t.error(3, 4, packet, a.port, a, mtu=narrow)
        why = f"The packet has {size} bytes, and the MTU of {b.port} is {narrow}. It has DF set: its sender is told, 3/4."
        t.arrive(router, a.port, t.frame(a, packet), [wanted], why)
        t.breathe(router)
    before = _count(t, router)
    for number, size in enumerate((narrow + 1, 1500, 1499), start=1):
        content = udp(1, 2, t.random.randbytes(size - 28))
        packet = datagram(a.address, b.address, UDP, content, fragment=t.random.choice([0, MORE_FRAGMENTS]))
        why = (
            f"The packet has {size} bytes, and the MTU of {b.port} is {narrow}. It might be fragmented, which is not asked "
            "here: drop it without an error, and count it."
        )
        t.arrive(router, a.port, t.frame(a, packet), [], why)
        count = _count(t, router)
        if count != before + number:
            t.transcript.wrong(f"dropped()[{TOO_LARGE!r}] must be {before + number}, is {count}")
            raise Failed(f"Each packet that would have to be fragmented is counted, under {TOO_LARGE!r}.")


def _count(t: RouterTrial, router: Handle) -> int:
    try:
        told = router.call("dropped")
    except LearnerError:
        t.transcript.wrong("dropped(): your code failed")
        raise
    if not isinstance(told, dict):
        t.transcript.wrong("dropped() must return a dict of numbers by reason")
        raise Failed(f"dropped() returned {told!r}: it must be a dict, or a Counter, with the reasons as keys.")
    found = told.get(TOO_LARGE, 0)
    return found if isinstance(found, int) else -1

"""Step 4 of the router, continued: what never gets an ICMP error. RFC 1122, 3.2.2; RFC 1812, 4.3.2.7."""

from ipaddress import IPv4Address, IPv4Network

from grader.check import Handle
from grader.checks.router import messages
from grader.checks.router.datagram import ICMP_ERRORS, datagram, icmp
from grader.checks.router.expect import Station
from grader.checks.router.trial import RouterTrial
from podpath.packets import BROADCAST, ICMP, UDP, icmp_echo, udp


@messages.STEP.check(
    "silence",
    "there is no error about an error, a later fragment, a broadcast, or a packet from no single host",
    1,
    "Never an ICMP error about an ICMP error, a fragment but the first, a group or broadcast, or from what is no host.",
    "RT-54",
    "RT-55",
    "RT-56",
    "RT-57",
    "MRT-11",
    "MRT-12",
    "MRT-30",
)
def silence(t: RouterTrial) -> None:
    ports = t.links(2)
    a, b = t.station(ports[0], "A"), t.station(ports[1], "B")
    router = t.router()
    t.meet(router, a, b)
    nowhere = t.far(t.network(24))
    hopeless = [(b.address, 1, (11, 0), "with TTL 1"), (nowhere, 64, (3, 0), "without a route")]
    for to, ttl, (kind, code), what in hopeless:
        _control(t, router, a, to, ttl, (kind, code))
        for why, packet in _quiet(t, a, to, ttl):
            message = f"The packet {what} was {why} No ICMP error about such a packet, ever."
            t.arrive(router, a.port, t.frame(a, packet), [], message, f"a packet {what}: {why.split('.')[0]},")
            t.breathe(router)
        _control(t, router, a, to, ttl, (kind, code))
    late = t.packet(a.address, b.address, ttl=1)
    everybody = (
        "The frame was for everybody. If all routers that get it sent an error, there would be a storm of them."
    )
    t.arrive(router, a.port, t.frame(a, late, BROADCAST), [], everybody)
    for address in ("224.0.0.5", "255.255.255.255", str(t.interfaces[b.port].address.network.broadcast_address)):
        packet = t.packet(a.address, IPv4Address(address), ttl=1)
        why = f"The packet was for {address}, which is not one host. No ICMP error about such a packet, ever."
        for mac in (None, BROADCAST):
            t.arrive(router, a.port, t.frame(a, packet, mac), [], why)


def _control(
    t: RouterTrial, router: Handle, a: Station, to: IPv4Address, ttl: int, expected: tuple[int, int]
) -> None:
    """An ordinary packet, and a ping, do get the error."""
    echo = icmp_echo(8, t.random.randrange(65536), 1, t.random.randbytes(30))
    for packet in (t.packet(a.address, to, ttl), datagram(a.address, to, ICMP, echo, ttl)):
        t.breathe(router)
        t.arrive(router, a.port, t.frame(a, packet), [t.error(*expected, packet, a.port, a)])
    t.breathe(router)


def _quiet(t: RouterTrial, a: Station, to: IPv4Address, ttl: int) -> list[tuple[str, bytes]]:
    """Packets from A that get no error, and why not."""
    quoted = t.packet(to, a.address, size=60)[:28]
    found = []
    for kind, name in ICMP_ERRORS.items():
        packet = datagram(a.address, to, ICMP, icmp(kind, 0, quoted), ttl)
        found.append(
            (f"itself an ICMP error ({kind}, {name}). Two routers would tell each other so for ever.", packet)
        )
    longer = datagram(a.address, to, ICMP, icmp(11, 0, quoted), ttl, options=bytes(4))
    found.append(("itself an ICMP error (in a packet with options). Two routers would go on for ever.", longer))
    for offset in (1, 185, 0x1FFF, t.random.randrange(256, 0x1FFF, 256)):
        later = datagram(a.address, to, UDP, t.random.randbytes(40), ttl, fragment=offset)
        found.append((f"a fragment at {offset * 8}. Its sender has been told about the first one.", later))
    return found + [
        (f"from {source}, which is no host. Whom should one tell?", _from(t, source, to, ttl))
        for source in _nobody(t)
    ]


def _from(t: RouterTrial, source: IPv4Address, to: IPv4Address, ttl: int) -> bytes:
    return datagram(source, to, UDP, udp(1, 2, t.random.randbytes(40)), ttl)


def _nobody(t: RouterTrial) -> list[IPv4Address]:
    group = IPv4Network("224.0.0.0/4")
    texts = ("0.0.0.0", "127.0.0.1", "255.255.255.255", str(group[t.random.randrange(1 << 28)]))
    return [IPv4Address(text) for text in texts]

"""Step 3 of the router: from one link to the next, one hop older. RFC 1812, 5.2 and 5.3."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from grader.check import Handle, Step
from grader.checks.router.datagram import DONT_FRAGMENT, MORE_FRAGMENTS, datagram, summed, with_checksum
from grader.checks.router.expect import Station
from grader.checks.router.trial import RouterTrial
from podpath.configuration import Route
from podpath.packets import BROADCAST, ETH_IPV4, ETH_IPV6, ETH_VLAN, ICMP, TCP, UDP, checksum, ethernet, icmp_echo

STEP = Step("Step 3: forward")
EVERYTHING = IPv4Network("0.0.0.0/0")


@STEP.check(
    "forward",
    "a packet leaves one hop older, with a right checksum and new MAC addresses, and otherwise as it came",
    2,
    "TTL one less, header checksum to match, source MAC the port's, destination MAC the next hop's. Nothing else changes.",
    "RT-01",
    "RT-02",
    "RT-07",
    "RT-16",
    "RT-17",
    "RT-18",
    "RT-21",
    "RT-24",
    "RT-27",
    "RT-28",
    "MRT-05",
    "MRT-27",
    "MRT-28",
    "PK-10",
    "PK-11",
)
def forwards(t: RouterTrial) -> None:
    ports = t.links(3)
    beyond = t.network(24)
    a, b = t.station(ports[0], "A"), t.station(ports[1], "B")
    c, gateway = t.station(ports[0], "C"), t.station(ports[2], "the gateway")
    router = t.router(Route(beyond, ports[2], gateway.address))
    t.meet(router, a, b, c, gateway)
    for packet in _all_kinds(t, a.address, t.far(beyond)):
        t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, gateway)], what=_about(packet))
    for source, destination in ((a, b), (b, a), (a, c), (gateway, a)):
        for ttl in (2, 64, 255, t.random.randrange(3, 255)):
            packet = t.packet(source.address, destination.address, ttl)
            why = ""
            if source.port == destination.port:
                why = (
                    f"{source.name} and {destination.name} are on the same link, and {source.name} has sent the packet to the "
                    "router all the same. That is normal for a router: it leaves by the port it came by."
                )
            t.arrive(router, source.port, t.frame(source, packet), [t.forwarded(packet, destination)], why)
    for ttl in (1, 0):
        packet = t.packet(a.address, b.address, ttl)
        error = t.error(11, 0, packet, a.port, a, optional=True)
        why = f"A packet that arrives with TTL {ttl} has no hop left: it is not forwarded, to nobody."
        t.arrive(router, a.port, t.frame(a, packet), [error], why)
        t.wait(router, 1.1)


def _all_kinds(t: RouterTrial, source: IPv4Address, destination: IPv4Address) -> list[bytes]:
    """Packets of all sorts, from one address to another."""

    def made(
        protocol: int, content: bytes, ttl: int = 64, fragment: int = 0, tos: int = 0, options: bytes = b""
    ) -> bytes:
        ident = t.random.randrange(65536)
        return datagram(source, destination, protocol, content, ttl, ident, fragment, tos, options)

    content = t.random.randbytes(40) + b"\xff"
    echo = icmp_echo(8, t.random.randrange(65536), 1, content)
    tcp = struct.pack("!HHIIHHHH", 40000, 80, 1, 0, 0x5002, 1024, t.random.randrange(65536), 0)
    routed = b"\x44\x0c\x05\x00" + t.random.randbytes(8)  # a timestamp option that is full
    found = [
        made(UDP, content),
        made(ICMP, echo, fragment=DONT_FRAGMENT),
        made(ICMP, b"\0" + echo[1:]),
        made(TCP, tcp, tos=0x2E),
        made(132, content, tos=t.random.randrange(256)),
        made(UDP, content[:1]),
        made(UDP, b""),
        made(UDP, b"ends in zeros\0\0\0"),
        made(UDP, t.random.randbytes(1480)),
        made(UDP, content, fragment=MORE_FRAGMENTS),
        made(UDP, content, fragment=MORE_FRAGMENTS | 185),
        made(UDP, content, fragment=370),
        made(TCP, tcp, options=routed),
        made(UDP, content[:3], options=b"\1" * 40),
    ]
    usual = made(UDP, content, ttl=t.random.randrange(2, 256))
    corners = [0xFEFF, 0xFEFE, 0xFF00, 0xFFFE, 0x0000, 0x00FF, 0x0100, t.random.randrange(0xFF00, 0xFFFF)]
    return found + [with_checksum(usual, wanted) for wanted in corners]


def _about(packet: bytes) -> str:
    extra = f", IHL {packet[0] & 15}" if packet[0] & 15 != 5 else ""
    fragment = struct.unpack_from("!H", packet, 6)[0]
    extra += f", fragment at {(fragment & 0x1FFF) * 8}" if fragment & 0x3FFF else ""
    return (
        f"a packet for beyond the gateway: {len(packet)} bytes, protocol {packet[9]}, TTL {packet[8]}{extra}, checksum "
        f"{packet[10:12].hex()},"
    )


@STEP.check(
    "malformed",
    "what is broken, or for another MAC address, is dropped without a word",
    1,
    "Before you believe a header: its frame is for the port's MAC address, it is whole, version 4, and its checksum fits.",
    "RT-25",
    "RT-26",
    "RT-28",
    "RT-33",
    "RT-34",
    "PK-12",
)
def malformed(t: RouterTrial) -> None:
    ports = t.links(2)
    a, b = t.station(ports[0], "A"), t.station(ports[1], "B")
    router = t.router()
    t.meet(router, a, b)
    packet = t.packet(a.address, b.address)
    t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, b)])
    for what, broken in _broken(t, a, b):
        for data in (broken, _with_ttl_1(broken)):
            frame = ethernet(t.interfaces[a.port].mac, a.mac, ETH_IPV4, data)
            t.arrive(router, a.port, frame, [], f"{_only(what)} Drop it, and send nothing, no error either.", what)
    for what, frame in _not_for_us(t, a, packet):
        t.arrive(router, a.port, frame, [], f"This is {what}. It is not for the router: ignore it.", what)
    for size in (0, 1, 5, 6, 12, 13, 14):
        t.arrive(router, a.port, t.frame(a, packet)[:size], [], f"A frame of {size} bytes has no packet in it.")
    t.arrive(router, a.port, t.frame(a, packet), [t.forwarded(packet, b)])


def _only(what: str) -> str:
    return f"This is {what}."


def _with_ttl_1(data: bytes) -> bytes:
    """The same with TTL 1, and with the checksum as wrong or right as it was."""
    if len(data) < 20:
        return data
    older = (int.from_bytes(data[10:12]) + (data[8] - 1) * 256) % 0xFFFF
    return data[:8] + b"\1" + data[9:10] + struct.pack("!H", older) + data[12:]


def _broken(t: RouterTrial, a: Station, b: Station) -> list[tuple[str, bytes]]:
    """Packets with one thing wrong, what that is, and, where it can be, with the checksum that would fit."""
    good = t.packet(a.address, b.address, size=t.random.randrange(70, 120))

    def header(first: int, total: int) -> bytes:
        size = max(20, min(len(good), (first & 15) * 4))
        return summed(bytes([first]) + good[1:2] + struct.pack("!H", total) + good[4:size]) + good[size:]

    long = datagram(a.address, b.address, UDP, good[20:], options=b"\1" * 8)
    found = [(f"an IHL of {ihl} words; 5 is the least", header(0x40 | ihl, len(good))) for ihl in (0, 1, 4)]
    found += [(f"an IHL of {ihl} words; 5 is the least", _short_header(good, ihl)) for ihl in (3, 4)]
    found += [(f"a packet of version {v}", header(v << 4 | 5, len(good))) for v in (6, 5, 0, 15)]
    found += [
        ("an IHL of 60 bytes, in a packet of 40", header(0x4F, 40)[:40]),
        ("a total length of 16, less than the header has", header(0x45, 16)),
        ("a total length of 0", header(0x45, 0)),
        ("a total length one more than there is", header(0x45, len(good) + 1)),
        ("a total length of 65535", header(0x45, 65535)),
        ("a packet of which half is missing", good[: len(good) // 2]),
    ]
    found += [(f"a header of which {size} bytes have arrived", good[:size]) for size in (19, 12, 1, 0)]
    found += _wrongly_summed(t, good, long)
    return [(what, data) for what, data in found if data[8:9] != b"\0"]


def _wrongly_summed(t: RouterTrial, good: bytes, long: bytes) -> list[tuple[str, bytes]]:
    """Packets whose header does not sum up, made of one without options and of one with 8 bytes of them."""
    bit, option = t.random.randrange(8), 20 + t.random.randrange(8)
    found = [
        (f"a bit of byte {at} is flipped", _flipped(good, at, bit))
        for at in (1, 4, 10, 11, 12, 19, t.random.randrange(20))
    ]
    found.append(("a bit of its options is flipped", _flipped(long, option, bit)))
    found.append(("it is zero", good[:10] + b"\0\0" + good[12:]))
    # By chance, one in some 65,536 is right all the same: zero is its sum, or a longer header sums up as well.
    return [
        (f"a packet with a wrong header checksum ({what})", data)
        for what, data in found
        if checksum(data[: (data[0] & 15) * 4])
    ]


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _short_header(good: bytes, words: int) -> bytes:
    """With an IHL of so few words, and the checksum that is right for just these."""
    size = words * 4
    return summed(bytes([0x40 | words]) + good[1:size]) + good[size:]


def _not_for_us(t: RouterTrial, a: Station, packet: bytes) -> list[tuple[str, bytes]]:
    own = t.interfaces[a.port].mac
    other = next(one.mac for port, one in t.interfaces.items() if port != a.port)
    return [
        ("a frame for another station's MAC address", t.frame(a, packet, t.mac())),
        ("a frame for the MAC address of another port of the router", t.frame(a, packet, other)),
        ("a frame to everybody, with a packet for one host in it,", t.frame(a, packet, BROADCAST)),
        ("a multicast frame, with a packet for one host in it,", t.frame(a, packet, b"\x01\x00\x5e\x00\x00\x05")),
        ("a frame of type 0x86dd, IPv6,", ethernet(own, a.mac, ETH_IPV6, packet)),
        ("a frame with a VLAN tag", ethernet(own, a.mac, ETH_VLAN, b"\0\7\x08\0" + packet)),
        ("a frame of type 0x88b5", ethernet(own, a.mac, 0x88B5, packet)),
    ]


@STEP.check(
    "never-forwarded",
    "what belongs to one link, or to no host, is never forwarded, and never answered",
    1,
    "Never forward from or to 0/8, 127/8, 169.254/16, groups, or everybody; nor to the broadcast address of a link.",
    "RT-15",
    "RT-31",
    "RT-32",
    "RT-57",
    "MRT-29",
    "MRT-30",
)
def never_forwarded(t: RouterTrial) -> None:
    ports = t.links(3)
    a, b = t.station(ports[0], "A"), t.station(ports[1], "B")
    gateway = t.station(ports[2], "the gateway")
    beyond = t.network(22)
    router = t.router(Route(EVERYTHING, ports[2], gateway.address))
    t.meet(router, a, b, gateway)
    ordinary = [*_near_misses(t), beyond[255], beyond[256], beyond[511], IPv4Address("203.0.113.255")]
    for address in ordinary:
        _passes(t, router, a, a.address, address, gateway)
        _passes(t, router, a, address, b.address, b)
    for what, address in _special(t):
        _dropped(t, router, a, a.address, address, f"to {address}, {what}")
        if "everybody" in what or "group" in what:
            _dropped(t, router, a, a.address, address, f"to {address}, {what}", BROADCAST)
        _dropped(t, router, a, address, b.address, f"from {address}, {what}")
        _dropped(t, router, a, address, IPv4Address("203.0.113.9"), f"from {address}, {what}")
    for port in ports:
        address = t.interfaces[port].address.network.broadcast_address
        _dropped(t, router, a, a.address, address, f"to {address}, the broadcast address of the link {port}")
        _dropped(
            t, router, gateway, gateway.address, address, f"to {address}, the broadcast address of the link {port}"
        )
    for mine in (0, 1):
        _point_to_point(t, mine)


def _point_to_point(t: RouterTrial, mine: int) -> None:
    """A link with two addresses, of which each is a host's (RFC 3021); `mine` is the router's own."""
    ports = t.links(2, lengths=(24, 31))
    link = t.interfaces[ports[1]]
    ends = link.address.network
    t.interfaces[ports[1]] = replace(link, address=IPv4Interface((ends[mine], 31)))
    a, b = t.station(ports[0], "A"), Station("B", ports[1], t.mac(), ends[1 - mine])
    router = t.router()
    t.meet(router, a, b)
    _passes(t, router, a, a.address, b.address, b)
    _passes(t, router, b, b.address, a.address, a)


def _near_misses(t: RouterTrial) -> list[IPv4Address]:
    texts = ("1.0.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "223.255.255.255")
    return [IPv4Address(text) for text in texts]


def _special(t: RouterTrial) -> list[tuple[str, IPv4Address]]:
    def inside(text: str) -> IPv4Address:
        prefix = IPv4Network(text)
        return prefix[t.random.randrange(prefix.num_addresses)]

    return [
        ("a loopback address (127/8)", IPv4Address("127.0.0.1")),
        ("a loopback address (127/8)", inside("127.0.0.0/8")),
        ("an address of no host (0/8)", IPv4Address("0.0.0.0")),
        ("an address of no host (0/8)", inside("0.0.0.0/8")),
        ("a link-local address (169.254/16)", inside("169.254.0.0/16")),
        ("a link-local address (169.254/16)", IPv4Address("169.254.169.254")),
        ("a group (224/4)", IPv4Address("224.0.0.1")),
        ("a group (224/4)", inside("224.0.0.0/4")),
        ("a group (224/4)", IPv4Address("239.255.255.255")),
        ("everybody on the link", IPv4Address("255.255.255.255")),
    ]


def _passes(
    t: RouterTrial, router: Handle, by: Station, source: IPv4Address, destination: IPv4Address, to: Station
) -> None:
    packet = t.packet(source, destination)
    why = f"A packet from {source} to {destination} is quite ordinary, and must be forwarded."
    t.arrive(router, by.port, t.frame(by, packet), [t.forwarded(packet, to)], why)


def _dropped(
    t: RouterTrial,
    router: Handle,
    by: Station,
    source: IPv4Address,
    destination: IPv4Address,
    what: str,
    to: bytes | None = None,
) -> None:
    why = f"This packet is {what}. Such a packet never leaves its link: drop it, and send nothing, no error either."
    packet = t.packet(source, destination, t.random.choice([64, 64, 1]))
    t.arrive(router, by.port, t.frame(by, packet, to), [], why)

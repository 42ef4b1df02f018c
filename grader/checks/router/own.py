"""What a router must say itself: echo replies and ICMP errors, and words for what is wrong with one. Pure."""

from collections.abc import Collection
from ipaddress import IPv4Address

from grader.checks.router.datagram import ICMP_ERRORS, ROOM, aged, header_size, read
from grader.checks.router.expect import Station, Wanted, link_fault
from podpath.configuration import Interface
from podpath.packets import ETHERNET_HEADER, ICMP, checksum

LEAST_TTL = 32  # of packets that the router makes itself; 64 is usual
LARGEST_ERROR = 576  # bytes of a packet that carries an ICMP error (RFC 1812, 4.3.2.3)


def echo_reply(request: bytes, to: Station, interface: Interface) -> Wanted:
    """The answer to an echo request, by way of the neighbour `to`."""
    asked, asking = IPv4Address(request[16:20]), IPv4Address(request[12:16])
    message = request[header_size(request) :]

    def fault(frame: bytes) -> str:
        wrong = _own_fault(frame, to, interface, asking)
        if wrong:
            return wrong
        ip = read(frame[ETHERNET_HEADER:])
        assert not isinstance(ip, str)
        if ip.source != asked:
            return f"The echo was asked of {asked}, but the answer comes from {ip.source}."
        if ip.payload[:2] != b"\0\0":
            return f"ICMP type and code are {_type(ip.payload)}, must be 0/0, echo reply."
        if ip.payload[4:] != message[4:]:
            return "An echo reply brings back identifier, sequence number and data of the request, unchanged."
        return _icmp_checksum_fault(ip.payload)

    return Wanted(to.port, f"ICMP echo reply from {asked} to {asking} by way of {to.name}", "packet", fault)


def icmp_error(
    kind: int,
    code: int,
    about: bytes,
    to: Station,
    interface: Interface,
    sources: Collection[IPv4Address],
    mtu: int = 0,
    may_be_aged: bool = False,
) -> Wanted:
    """An ICMP error about a packet, by way of the neighbour `to`, from one of the addresses `sources`.

    With `may_be_aged` the quoted packet may be one hop older than it arrived (RFC 1812, 4.3.2.3, allows that).
    """
    offender, asked = IPv4Address(about[12:16]), IPv4Address(about[16:20])

    def fault(frame: bytes) -> str:
        wrong = _own_fault(frame, to, interface, offender)
        if wrong:
            return wrong
        ip = read(frame[ETHERNET_HEADER:])
        assert not isinstance(ip, str)
        if len(ip.payload) < 8 or (ip.payload[0], ip.payload[1]) != (kind, code):
            return f"ICMP type and code are {_type(ip.payload)}, must be {kind}/{code}. {_CODES.get((kind, code), '')}".strip()
        if ip.source not in sources:
            whose = ", which is where the packet was going" if ip.source == asked else ""
            return (
                f"The error claims to come from {ip.source}{whose}; routers use the address of the interface that received "
                f"the packet: {' or '.join(sorted(map(str, sources)))}."
            )
        if ip.total > LARGEST_ERROR:
            return f"The packet with the error has {ip.total} bytes; {LARGEST_ERROR} are allowed."
        if ip.payload[4:8] != mtu.to_bytes(4):
            return _unused_fault(ip.payload[4:8], mtu)
        quoted = ip.payload[8:]
        aged_too = may_be_aged and quoted == aged(about)[: len(quoted)]
        return _quote_fault(aged(about) if aged_too else about, quoted) or _icmp_checksum_fault(ip.payload)

    what = f"ICMP {kind}/{code} {ICMP_ERRORS[kind]} to {offender} by way of {to.name}"
    return Wanted(to.port, what, "error", fault)


_CODES = {
    (3, 0): "No route: code 0, network unreachable. Nobody answers ARP: code 1, host unreachable.",
    (3, 1): "No route: code 0, network unreachable. Nobody answers ARP: code 1, host unreachable.",
    (3, 4): "It does not fit, and must not be fragmented: type 3, code 4.",
    (11, 0): "Its time is over: type 11, code 0.",
}


def _own_fault(frame: bytes, to: Station, interface: Interface, destination: IPv4Address) -> str:
    """What is wrong with any ICMP message that the router sends by way of `to`."""
    head = link_fault(frame, to, interface)
    if head:
        return head
    ip = read(frame[ETHERNET_HEADER:])
    if isinstance(ip, str):
        return f"The packet that you made cannot be read: {ip}."
    if ip.protocol != ICMP:
        return f"Its protocol is {ip.protocol}, not 1, which is ICMP."
    if ip.destination != destination:
        return f"It is sent to {ip.destination}, must be sent to {destination}, where the packet came from."
    if ip.ttl < LEAST_TTL:
        return f"Its TTL is {ip.ttl}. It is a new packet of the router's own: let it start with 64."
    return ""


def _type(message: bytes) -> str:
    return "/".join(map(str, message[:2])) or "missing"


def _unused_fault(got: bytes, mtu: int) -> str:
    if mtu:
        return (
            f"Bytes 4 to 8 of the ICMP message are {got.hex(' ')}; they must be two zero bytes and then {mtu}, the MTU that "
            "the packet did not fit (RFC 1191)."
        )
    return f"Bytes 4 to 8 of the ICMP message are {got.hex(' ')}; in this error they are unused, and zero."


def _quote_fault(about: bytes, quoted: bytes) -> str:
    least = min(len(about), header_size(about) + ROOM)
    if len(quoted) > len(about) and quoted[: len(about)] == about:
        return f"You quoted {len(quoted)} bytes of a packet that has {len(about)}: the rest is Ethernet padding."
    if quoted != about[: len(quoted)]:
        place = next(i for i, byte in enumerate(quoted) if about[i : i + 1] != bytes([byte]))
        if place in (8, 10, 11):
            return (
                f"You quoted the packet with TTL {quoted[8] if len(quoted) > 8 else '?'} and checksum {quoted[10:12].hex()}; "
                f"it arrived with TTL {about[8]} and checksum {about[10:12].hex()}. Quote the packet as it arrived."
            )
        return f"Byte {place} of the quoted packet differs from the one that arrived. Quote the packet as it arrived."
    if len(quoted) < least:
        return (
            f"You quoted {len(quoted)} bytes. Quote the original header (IHL * 4 = {header_size(about)}) and at least the "
            f"first 8 bytes behind it: {least} here."
        )
    return ""


def _icmp_checksum_fault(message: bytes) -> str:
    if checksum(message) == 0:
        return ""
    right = checksum(message[:2] + b"\0\0" + message[4:])
    return (
        f"The ICMP checksum is {message[2:4].hex()}, must be {right:04x}: it covers the whole ICMP message, and nothing "
        "else (no pseudo-header)."
    )

"""What a router must send: frames of which some fields are fixed and others free, and words for what is wrong. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from grader.checks.router.datagram import aged, header_size, is_error
from podpath.configuration import Interface
from podpath.packets import (
    BROADCAST,
    ETH_ARP,
    ETH_IPV4,
    ETHERNET_HEADER,
    arp,
    describe,
    ethernet,
    hexdump,
    mac_text,
)


@dataclass(frozen=True)
class Station:
    """A host on one of the router's links."""

    name: str
    port: str
    mac: bytes
    address: IPv4Address


@dataclass(frozen=True)
class Wanted:
    """One frame that must leave by `port`. `fault` says in words what is wrong with a frame, and "" if nothing is.

    `exact` is the frame, where every byte of it is fixed. With `optional` it may be sent, and need not.
    """

    port: str
    what: str
    kind: str
    fault: Callable[[bytes], str]
    exact: bytes | None = None
    optional: bool = False


def kind_of(frame: bytes) -> str:
    """What a frame is, roughly: which expectation it was most likely meant for."""
    packet = frame[ETHERNET_HEADER:]
    if frame[12:14] == ETH_ARP.to_bytes(2):
        return "question" if packet[6:8] == b"\0\1" else "answer"
    if frame[12:14] != ETH_IPV4.to_bytes(2) or len(packet) < 20:
        return "other"
    return "error" if is_error(packet) else "packet"


def told(frame: bytes) -> str:
    """A frame in words, with the TTL of a packet."""
    packet = frame[ETHERNET_HEADER:]
    ttl = f", TTL {packet[8]}" if frame[12:14] == ETH_IPV4.to_bytes(2) and len(packet) >= 20 else ""
    return describe(frame) + ttl


def shown(frame: bytes, wanted: Wanted) -> str:
    """A frame in hex, with what differs from the wanted one marked, where that is fixed."""
    start = frame[:80]
    exact = wanted.exact
    places = [] if exact is None else [i for i, byte in enumerate(start) if i >= len(exact) or byte != exact[i]]
    return hexdump(start, places) or "(0 bytes)"


# -- ARP


def question(port: str, interface: Interface, hop: IPv4Address, final: IPv4Address | None = None) -> Wanted:
    """ARP, to everybody: who has `hop`? `final` is where the packet goes that it is asked for."""
    exact = ethernet(BROADCAST, interface.mac, ETH_ARP, arp(1, interface.mac, interface.address.ip, bytes(6), hop))

    def fault(frame: bytes) -> str:
        target = frame[38:42]
        if target != hop.packed and final is not None and target == final.packed and final != hop:
            return (
                f"You asked who has {final}. It is not on any of your links: ask for the next hop, {hop}. Only the MAC "
                "address of the next hop is needed; the IP destination stays."
            )
        return _arp_fault(frame, exact, "question")

    return Wanted(port, f"ARP who has {hop}? tell {interface.address.ip}, broadcast", "question", fault, exact)


def answer(station: Station, interface: Interface) -> Wanted:
    """ARP, to one station: the router's address on that link is at its MAC address."""
    reply = arp(2, interface.mac, interface.address.ip, station.mac, station.address)
    exact = ethernet(station.mac, interface.mac, ETH_ARP, reply)
    what = f"ARP {interface.address.ip} is at {mac_text(interface.mac)}, to {station.name} alone"
    return Wanted(station.port, what, "answer", lambda frame: _arp_fault(frame, exact, "answer"), exact)


_ARP_FIELDS = (
    ("destination MAC", 0, 6),
    ("source MAC", 6, 12),
    ("EtherType", 12, 14),
    ("hardware type", 14, 16),
    ("protocol type", 16, 18),
    ("address lengths", 18, 20),
    ("operation", 20, 22),
    ("sender's MAC address", 22, 28),
    ("sender's IP address", 28, 32),
    ("target's MAC address", 32, 38),
    ("target's IP address", 38, 42),
)


def _arp_fault(frame: bytes, exact: bytes, what: str) -> str:
    """The first field that is wrong. In a question the target's MAC address is not known, and may be anything."""
    for name, start, end in _ARP_FIELDS:
        if frame[start:end] != exact[start:end] and (what, start) != ("question", 32):
            return f"In the ARP {what} the {name} is {_field(frame[start:end])}, must be {_field(exact[start:end])}."
    if frame[42:] != bytes(len(frame) - 42) or len(frame) > 60:
        return f"Behind the ARP {what} there are bytes that belong to nothing."
    return ""


def _field(data: bytes) -> str:
    if len(data) == 6:
        return mac_text(data)
    return str(IPv4Address(data)) if len(data) == 4 else f"0x{data.hex()}" if data else "missing"


# -- what passes


def forwarded(packet: bytes, to: Station, interface: Interface, ttl_matters: bool = True) -> Wanted:
    """A packet on its way to the neighbour `to`, one hop older. Its TTL and checksum may be left for later."""
    later = aged(packet) if ttl_matters else packet
    exact = ethernet(to.mac, interface.mac, ETH_IPV4, later)

    def fault(frame: bytes) -> str:
        head = link_fault(frame, to, interface)
        return head or _packet_fault(frame[ETHERNET_HEADER:], later, packet, to, ttl_matters)

    source, destination = (IPv4Address(packet[at : at + 4]) for at in (12, 16))
    aging = f", TTL {packet[8] - 1}" if ttl_matters else ""
    return Wanted(
        to.port,
        f"the packet {source} > {destination} to {to.name} ({mac_text(to.mac)}){aging}",
        "packet",
        fault,
        exact,
    )


def link_fault(frame: bytes, to: Station, interface: Interface) -> str:
    """What is wrong with the Ethernet header of a packet that leaves by `interface` for the neighbour `to`."""
    if frame[0:6] != to.mac:
        whose = ", which is the router itself" if frame[0:6] == interface.mac else ""
        if frame[0:6] == BROADCAST:
            whose = ": everybody on the link would get it"
        return (
            f"The frame's destination MAC is {mac_text(frame[0:6])}{whose}; it must be {to.name}'s, {mac_text(to.mac)}, "
            "the next hop's."
        )
    if frame[6:12] != interface.mac:
        return (
            f"The frame's source MAC is {mac_text(frame[6:12])}; it must be that of the port it leaves by, "
            f"{mac_text(interface.mac)}."
        )
    return "" if frame[12:14] == ETH_IPV4.to_bytes(2) else f"The frame's type is 0x{frame[12:14].hex()}, not 0x0800."


def _packet_fault(got: bytes, later: bytes, before: bytes, to: Station, ttl_matters: bool) -> str:
    if not ttl_matters and len(got) >= 20:
        got = got[:8] + later[8:9] + got[9:10] + later[10:12] + got[12:]
    if got == later:
        return ""
    if len(got) > len(later) and got[len(later) :] == bytes(len(got) - len(later)):
        return (
            f"The IP header says {len(later)} bytes, you forwarded {len(got)}: the rest is Ethernet padding. Cut at total "
            "length."
        )
    if len(got) != len(later):
        return f"The packet had {len(before)} bytes and has {len(got)} now."
    if got[16:20] != later[16:20]:
        gateway = got[16:20] == to.address.packed
        end = (
            "Only the MAC is rewritten for a gateway; the IP destination stays."
            if gateway
            else "A router without NAT leaves it alone."
        )
        return f"The IP destination became {IPv4Address(got[16:20])}. {end}"
    if got[12:16] != later[12:16]:
        return f"The IP source became {IPv4Address(got[12:16])}. A router without NAT leaves it alone."
    if got[8] != later[8]:
        return f"The packet came with TTL {before[8]} and leaves with TTL {got[8]}: every router takes one off."
    size = header_size(later)
    if got[10:12] != later[10:12] and got[:10] + got[12:] == later[:10] + later[12:]:
        return _checksum_fault(got[10:12], later[10:12], before[10:12])
    place = next(i for i in range(len(got)) if got[i] != later[i] and i not in (10, 11))
    where = "the IPv4 header" if place < 20 else "the options" if place < size else "what follows the header"
    return (
        f"Byte {place} of the packet, in {where}, became 0x{got[place]:02x}, was 0x{before[place]:02x}. A router changes "
        "the TTL and the header checksum, and nothing else."
    )


def _checksum_fault(got: bytes, right: bytes, before: bytes) -> str:
    said = f"The header checksum is {got.hex()}, must be {right.hex()}"
    if got == before:
        return f"{said}: the TTL has changed, and the checksum covers it."
    if {got, right} == {b"\xff\xff", b"\0\0"}:
        return f"{said}: adding carries stops one too early or too late here (it was {before.hex()}; see RFC 1624)."
    return f"{said} (it was {before.hex()}). Make it from scratch, or update it as RFC 1624 says, carry and all."

"""Out of everything that was captured, the journeys of single packets. Pure.

A packet is recognised from place to place by what no hop may change: bridges keep everything; routers change the
Ethernet header and the TTL; address translation changes addresses, ports (or the ICMP identifier) and checksums; a
tunnel puts it whole into another packet. The rest is its identity.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from podpath.layers import Layer, layers
from podpath.path import Place

_COMPARED = 1400  # bytes of payload: captures may be cut short, and that much tells packets apart
Peers = dict[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Captured:
    """One frame at one place. `time` is in seconds, of the machine's clock."""

    time: float
    place: Place
    frame: bytes


def identity(frame: bytes) -> bytes:
    """What stays the same of a frame's innermost packet on its way."""
    found = layers(frame)
    names = [layer.name for layer in found]
    network = next((layer for layer in reversed(found) if layer.name in ("IPv4", "ARP")), None)
    if network is None:
        return b"?" + frame[:_COMPARED]
    if network.name == "ARP":
        return b"A" + frame[network.start : network.end]
    inner = found[len(names) - names[::-1].index("IPv4") :]
    protocol, ident = frame[network.start + 9 : network.start + 10], frame[network.start + 4 : network.start + 6]
    total = struct.unpack_from("!H", frame, network.start + 2)[0]
    body = frame[network.end : min(network.start + total, network.end + _COMPARED)]
    return b"4" + protocol + ident + _steady(inner[0].name if inner else "payload", body)


def _steady(name: str, body: bytes) -> bytes:
    """The transport header and payload without what address translation changes."""
    if name == "ICMP":
        kind = body[0] if body else 0
        return body[:2] + (body[6:] if kind in (0, 8) else body[8:])  # type, code; not checksum, not identifier
    if name == "TCP":
        return body[4:16] + body[18:]  # not ports, not checksum
    if name == "UDP":
        return body[4:6] + body[8:]
    return body


@dataclass
class Packet:
    """All sightings of one packet, in the order of time."""

    sightings: list[Captured] = field(default_factory=list)

    @property
    def first(self) -> Captured:
        return self.sightings[0]

    @property
    def layers(self) -> list[Layer]:
        """As it was when it was first seen."""
        return layers(self.first.frame)

    def addresses(self, seen: Captured | None = None) -> tuple[IPv4Address, IPv4Address] | None:
        """Source and destination of its innermost IPv4 header at a sighting, or of its ARP; None if it has neither."""
        for layer in reversed(layers((seen or self.first).frame)):
            if layer.name == "IPv4":
                return IPv4Address(layer.fields["source"]), IPv4Address(layer.fields["destination"])
            if layer.name == "ARP":
                sender, target = (layer.fields[name].split()[0] for name in ("sender", "target"))
                return IPv4Address(sender), IPv4Address(target)
        return None

    def at(self, host: str, outgoing: bool) -> Captured | None:
        """Its first sighting that arrives at a host, or leaves it."""
        return next(
            (one for one in self.sightings if one.place.host == host and one.place.outgoing == outgoing), None
        )


def packets(captured: Iterable[Captured]) -> list[Packet]:
    """The packets in a capture, in the order of their first sightings.

    The same bytes at the same place once more are another packet: it was sent again.
    """
    found: list[Packet] = []
    latest: dict[bytes, tuple[Packet, set[Place]]] = {}
    for seen in captured:
        key = identity(seen.frame)
        packet, places = latest.get(key, (None, set()))
        if packet is None or seen.place in places:
            packet, places = Packet(), set()
            latest[key] = packet, places
            found.append(packet)
        packet.sightings.append(seen)
        places.add(seen.place)
    return found


def chains(packet: Packet, peers: Peers) -> list[list[Captured]]:
    """The ways that a packet took: more than one where it was flooded. Each from its origin to where it was last seen."""
    parents: list[int | None] = []
    for number, seen in enumerate(packet.sightings):
        parents.append(_parent(packet.sightings[:number], seen, peers))
    leaves = set(range(len(parents))) - {parent for parent in parents if parent is not None}
    ways = []
    for leaf in sorted(leaves):
        way, at = [], leaf
        while True:
            way.append(packet.sightings[at])
            before = parents[at]
            if before is None:
                break
            at = before
        ways.append(way[::-1])
    return ways


def _parent(before: Sequence[Captured], seen: Captured, peers: Peers) -> int | None:
    """Which earlier sighting led to this one.

    What arrives by a cable left at its other end. What leaves a host, or arrives at a bridge's own interface, came in
    by a cable, or from a bridge's own interface that sent it (which has no cable).
    """
    here = seen.place
    far = peers.get((here.host, here.interface))
    for number in range(len(before) - 1, -1, -1):
        there = before[number].place
        if far is not None and not here.outgoing:
            if there.outgoing and (there.host, there.interface) == far:
                return number
        elif there.host == here.host and there != here:
            cabled = (there.host, there.interface) in peers
            if not there.outgoing or (here.outgoing and not cabled):
                return number
    return None

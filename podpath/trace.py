"""What became of a packet: where it went, what changed on the way, and where it died. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from podpath.journey import Captured, Packet, chains
from podpath.layers import Layer, layers
from podpath.path import Place, expected, macs, owner, peers, without_turning
from podpath.topology import Plan


@dataclass(frozen=True)
class Change:
    """A field of a header that one hop changed. An added or removed header has "" before, or after."""

    layer: str
    field: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before or not self.after:
            return f"{self.layer} {'removed' if self.before else 'added'}"
        return f"{self.layer} {self.field} {self.before} -> {self.after}"


@dataclass(frozen=True)
class Died:
    """Where a packet was last seen on its way, what should have come next, and what came instead, if anything."""

    at: Place | None
    next: Place | None
    why: str
    instead: tuple[Place, ...] = ()

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True)
class Journey:
    """One packet's way: `way` has its sightings from its origin on, `wanted` the places that it should have passed."""

    packet: Packet
    way: list[Captured]
    wanted: list[Place]
    delivered: bool
    died: Died | None

    @property
    def path(self) -> list[Place]:
        """Where it was seen, in order."""
        return [seen.place for seen in self.way]

    @property
    def changes(self) -> list[list[Change]]:
        """For each sighting, what is not as at the one before."""
        frames = [seen.frame for seen in self.way]
        return [[], *(changes(a, b) for a, b in pairwise(frames))]


def aligned(before: bytes, after: bytes) -> list[tuple[Layer | None, Layer | None]]:
    """The headers of two captures of one packet, side by side. Tunnels add and remove headers at the front."""
    old, new = ([layer for layer in layers(frame) if layer.name != "payload"] for frame in (before, after))
    pairs: Iterator[tuple[Layer | None, Layer | None]] = zip_longest(reversed(old), reversed(new))
    return list(pairs)[::-1]


def changes(before: bytes, after: bytes) -> list[Change]:
    """What distinguishes two captures of one packet, header by header."""
    told: list[Change] = []
    for old, new in aligned(before, after):
        if old is not None and new is not None:
            told += _fields(old, new)
        elif new is not None:
            told.append(Change(new.name, "", "", "new"))
        elif old is not None:
            told.append(Change(old.name, "", "old", ""))
    return told


def _fields(before: Layer, after: Layer) -> Iterator[Change]:
    for name, value in before.fields.items():
        if after.fields.get(name, value) != value:
            yield Change(after.name, name, value, after.fields[name])


def journey(packet: Packet, plan: Plan, target: str | None = None) -> Journey:
    """Follow a packet through a cluster, to the host that has its destination address, or to another `target`."""
    ways = chains(packet, peers(plan))
    possible = _wanted(packet, plan, target)
    if not possible[0]:
        return _nowhere(packet, max(ways, key=len))
    wanted = max(possible, key=lambda one: max(_agreement(way, one) for way in ways))
    way = max(ways, key=lambda way: (_agreement(way, wanted), -len(way)))
    agreed = _agreement(way, wanted)
    astray = _astray(packet, way[:agreed], plan, possible[0])
    if astray is not None:
        return Journey(packet, way, wanted, False, astray)
    if agreed == len(wanted):
        return Journey(packet, way[:agreed], wanted, True, None)
    at, missing = (way[agreed - 1].place if agreed else None), wanted[agreed]
    others = {other[agreed].place: None for other in ways if _agreement(other, wanted) == agreed < len(other)}
    died = Died(at, missing, _lost(packet, at, missing, tuple(others)), tuple(others))
    return Journey(packet, way, wanted, False, died)


def _nowhere(packet: Packet, way: list[Captured]) -> Journey:
    """A packet to an address that nobody has, and that nobody translated."""
    addresses, at = packet.addresses(), way[-1].place
    if addresses is None:
        return Journey(packet, way, [], False, None)
    if is_arp(packet):
        why = f"{packet.first.place.host} asked who has {addresses[1]}, and nobody here has that address"
        return Journey(packet, way, [], False, Died(at, None, why))
    where = f"left {at.host} by {at.interface}" if at.outgoing else f"arrived at {at.interface} of {at.host}"
    why = f"{called(packet)} {where}, and nobody here has the address {addresses[1]}"
    return Journey(packet, way, [], False, Died(at, None, why))


def _astray(packet: Packet, way: Sequence[Captured], plan: Plan, wanted: Sequence[Place]) -> Died | None:
    """Where a packet left for another next hop than it should have, if it did."""
    hops = dict(zip(wanted, macs(plan, wanted), strict=True))
    for seen in way:
        chosen, right = seen.frame[:6], hops[seen.place]
        if seen.place.outgoing and chosen != right and not chosen[0] & 1:
            following = wanted[wanted.index(seen.place) + 1]
            why = (
                f"{called(packet)} left {seen.place.host} by {seen.place.interface} for another next hop "
                f"({chosen.hex(':')}) than it should have ({right.hex(':')})"
            )
            return Died(seen.place, following, why)
    return None


def _wanted(packet: Packet, plan: Plan, target: str | None) -> list[list[Place]]:
    """The ways that would be right, of which the first is the usual one."""
    addresses, source = packet.addresses(), plan.hosts.get(packet.first.place.host)
    end = plan.hosts[target] if target else None if addresses is None else owner(plan, addresses[1])
    if end is None or source is None:
        return [[]]
    way = expected(plan, source, end, addresses[1] if addresses else None)
    return [way, *without_turning(way)]


def _agreement(way: Sequence[Captured], wanted: Sequence[Place]) -> int:
    """How many places, from the beginning, are the same."""
    count = 0
    for seen, place in zip(way, wanted, strict=False):
        if seen.place != place:
            break
        count += 1
    return count


def _lost(packet: Packet, at: Place | None, missing: Place, others: tuple[Place, ...]) -> str:
    what = called(packet)
    if at is None:
        return f"{what} never left {missing.host} by {missing.interface}"
    if at.host != missing.host:
        return f"{what} left {at.host} by {at.interface} and did not arrive at {missing.interface} of {missing.host}"
    came = f"was sent into {at.interface}" if at.outgoing else f"arrived at {at.interface}"
    lacks = "did not leave by" if missing.outgoing else "did not reach"
    instead = [place.interface for place in others if place.outgoing]
    went = f"; it left by {', '.join(instead)}" if instead else ""
    return f"{what} {came} of {at.host} and {lacks} {missing.interface}{went}"


def called(packet: Packet) -> str:
    """What a packet is called in a sentence."""
    for layer in reversed(packet.layers):
        if layer.name == "ARP":
            asks = layer.fields["operation"] == "who has"
            known = layer.fields["target"] if asks else layer.fields["sender"]
            return f"the ARP {'question who has' if asks else 'answer of'} {known.split()[0]}"
        if layer.name == "ICMP":
            return f"the {layer.fields['type']}"
        if layer.name == "TCP":
            return f"the TCP {layer.fields['flags']}"
        if layer.name == "UDP":
            return f"the UDP datagram to port {layer.fields['destination port']}"
    return "the packet"


def is_arp(packet: Packet) -> bool:
    """Whether it is an ARP packet."""
    return any(layer.name == "ARP" for layer in packet.layers)

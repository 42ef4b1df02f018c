"""What became of a packet, and of a conversation: where it went, what changed on the way, and where it died. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import pairwise

from podpath.journey import Captured, Packet, chains
from podpath.layers import Layer, layers
from podpath.path import Place, expected, macs, owner, peers
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


def changes(before: bytes, after: bytes) -> list[Change]:
    """What distinguishes two captures of one packet, header by header. Tunnels add and remove headers at the front."""
    old, new = ([layer for layer in layers(frame) if layer.name != "payload"] for frame in (before, after))
    extra = len(new) - len(old)
    told = [Change(layer.name, "", "", "new") for layer in new[: max(0, extra)]]
    told += [Change(layer.name, "", "old", "") for layer in old[: max(0, -extra)]]
    for one, other in zip(old[max(0, -extra) :], new[max(0, extra) :], strict=True):
        told += list(_fields(one, other))
    return told


def _fields(before: Layer, after: Layer) -> Iterator[Change]:
    for name, value in before.fields.items():
        if after.fields.get(name, value) != value:
            yield Change(after.name, name, value, after.fields[name])


def journey(packet: Packet, plan: Plan, target: str | None = None) -> Journey:
    """Follow a packet through a cluster, to the host that has its destination address, or to another `target`."""
    wanted = _wanted(packet, plan, target)
    ways = chains(packet, peers(plan))
    if not wanted:
        return Journey(packet, max(ways, key=len), [], False, None)
    way = max(ways, key=lambda way: (_agreement(way, wanted), -len(way)))
    agreed = _agreement(way, wanted)
    astray = _astray(packet, way[:agreed], plan, wanted)
    if astray is not None:
        return Journey(packet, way, wanted, False, astray)
    if agreed == len(wanted):
        return Journey(packet, way[:agreed], wanted, True, None)
    at, missing = (way[agreed - 1].place if agreed else None), wanted[agreed]
    others = {other[agreed].place: None for other in ways if _agreement(other, wanted) == agreed < len(other)}
    died = Died(at, missing, _lost(packet, at, missing, tuple(others)), tuple(others))
    return Journey(packet, way, wanted, False, died)


def _astray(packet: Packet, way: Sequence[Captured], plan: Plan, wanted: Sequence[Place]) -> Died | None:
    """Where a packet left for another next hop than it should have, if it did."""
    for number, (seen, right) in enumerate(zip(way, macs(plan, wanted), strict=False)):
        chosen = seen.frame[:6]
        if seen.place.outgoing and chosen != right and not chosen[0] & 1:
            following = wanted[number + 1]
            why = (
                f"{_called(packet)} left {seen.place.host} by {seen.place.interface} for another next hop "
                f"({chosen.hex(':')}) than it should have ({right.hex(':')})"
            )
            return Died(seen.place, following, why)
    return None


def _wanted(packet: Packet, plan: Plan, target: str | None) -> list[Place]:
    addresses, source = packet.addresses(), plan.hosts.get(packet.first.place.host)
    end = plan.hosts[target] if target else None if addresses is None else owner(plan, addresses[1])
    if end is None or source is None:
        return []
    return expected(plan, source, end, addresses[1] if addresses else None)


def _agreement(way: Sequence[Captured], wanted: Sequence[Place]) -> int:
    """How many places, from the beginning, are the same."""
    count = 0
    for seen, place in zip(way, wanted, strict=False):
        if seen.place != place:
            break
        count += 1
    return count


def _lost(packet: Packet, at: Place | None, missing: Place, others: tuple[Place, ...]) -> str:
    what = _called(packet)
    if at is None:
        return f"{what} never left {missing.host} by {missing.interface}"
    if at.host != missing.host:
        return f"{what} left {at.host} by {at.interface} and did not arrive at {missing.interface} of {missing.host}"
    came = f"was sent into {at.interface}" if at.outgoing else f"arrived at {at.interface}"
    lacks = "did not leave by" if missing.outgoing else "did not reach"
    instead = [place.interface for place in others if place.outgoing]
    went = f"; it left by {', '.join(instead)}" if instead else ""
    return f"{what} {came} of {at.host} and {lacks} {missing.interface}{went}"


def _called(packet: Packet) -> str:
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
    return "the packet"


@dataclass(frozen=True)
class Conversation:
    """A request, what came back, and where it failed, if it did. `journeys` are in the order of time."""

    request: Journey | None
    reply: Journey | None
    journeys: list[Journey]
    died: Died | None


def converse(found: Sequence[Packet], plan: Plan, source: str, target: IPv4Address | None = None) -> Conversation:
    """The conversation that `source` began, with `target` if that is given, among all packets that were seen."""
    asked = [packet for packet in found if packet.first.place.host == source and packet.first.place.outgoing]
    if target is not None:
        asked = [packet for packet in asked if (packet.addresses() or (None, None))[1] == target or _is_arp(packet)]
    requests = [packet for packet in asked if not _is_arp(packet) and packet.addresses() is not None]
    for packet in requests:
        one = _one(packet, found, plan)
        if one.died is None and one.request is not None and one.request.delivered:
            return one
    if requests:
        return _one(requests[0], found, plan)
    arps = [packet for packet in asked if _is_arp(packet)]
    if not arps:
        return Conversation(None, None, [], Died(None, None, f"{source} sent nothing at all: it knows no way there"))
    died, journeys = _resolution(arps[0], found, plan)
    never = Died(
        None, Place(source, arps[0].first.place.interface, True), f"{source} knew where to, and sent nothing"
    )
    return Conversation(None, None, journeys, died or never)


def _one(packet: Packet, found: Sequence[Packet], plan: Plan) -> Conversation:
    request = journey(packet, plan)
    journeys = [request]
    if not request.delivered:
        died = request.died
        if died is not None and died.at is not None and not died.at.outgoing:
            died = _unresolved(died.at.host, request.way[-1].time, found, plan, journeys) or died
        return Conversation(request, None, journeys, died)
    last = request.way[-1]
    back = next((other for other in found if _answers(other, packet, last)), None)
    if back is not None:
        reply = journey(back, plan, packet.first.place.host)  # address translation may have given it another address
        journeys.append(reply)
        died = reply.died
        if died is not None and (died.at is None or not died.at.outgoing):
            host = died.at.host if died.at else last.place.host
            died = _unresolved(host, reply.way[-1].time, found, plan, journeys) or died
        return Conversation(request, reply, journeys, died)
    if not _wants_answer(last.frame):
        return Conversation(request, None, journeys, None)
    silent = Place(last.place.host, last.place.interface, True)
    died = _unresolved(last.place.host, last.time, found, plan, journeys)
    why = f"{_called(packet)} arrived at {last.place.host}, which did not answer"
    return Conversation(request, None, journeys, died or Died(last.place, silent, why))


def _unresolved(host: str, since: float, found: Sequence[Packet], plan: Plan, journeys: list[Journey]) -> Died | None:
    """Why a host could not find out the MAC address of its next hop, if that is what kept it from sending on."""
    for packet in found:
        asks = _is_arp(packet) and packet.layers[1].fields["operation"] == "who has"
        if asks and packet.first.place.host == host and packet.first.place.outgoing and packet.first.time >= since:
            died, more = _resolution(packet, found, plan)
            if died is not None:
                journeys += more
                return died
    return None


def _resolution(packet: Packet, found: Sequence[Packet], plan: Plan) -> tuple[Died | None, list[Journey]]:
    """What became of an ARP question and of its answer."""
    question = journey(packet, plan)
    addresses = packet.addresses()
    if not question.delivered or addresses is None:
        if question.died is None:
            return Died(question.way[-1].place, None, "nobody has the address that was asked for"), [question]
        return question.died, [question]
    last = question.way[-1]
    for other in found:
        if (
            _is_arp(other)
            and other.layers[1].fields["operation"] == "is at"
            and other.first.place.host == last.place.host
            and other.addresses() == addresses[::-1]
            and other.first.time >= last.time
        ):
            answer = journey(other, plan)
            return answer.died, [question, answer]
    silent = Place(last.place.host, last.place.interface, True)
    return Died(last.place, silent, f"{_called(packet)} arrived at {last.place.host}, which did not answer"), [
        question
    ]


def _is_arp(packet: Packet) -> bool:
    return any(layer.name == "ARP" for layer in packet.layers)


def _flow(frame: bytes) -> tuple[str, tuple[str, str], tuple[str, str]] | None:
    """Protocol and both ends, each with its port, of the innermost packet. For an echo the identifier is both ports."""
    found = layers(frame)
    network = next((number for number in range(len(found) - 1, -1, -1) if found[number].name == "IPv4"), None)
    if network is None:
        return None
    told = found[network].fields
    transport = found[network + 1] if network + 1 < len(found) else found[network]
    default = transport.fields.get("id", "") if transport.name == "ICMP" else ""
    near = told["source"], transport.fields.get("source port", default)
    far = told["destination"], transport.fields.get("destination port", default)
    return transport.name, near, far


def _answers(other: Packet, request: Packet, delivered: Captured) -> bool:
    """Whether another packet, sent by who got the request, goes back to who sent it."""
    place = other.first.place
    if (
        other is request
        or place.host != delivered.place.host
        or not place.outgoing
        or other.first.time < delivered.time
    ):
        return False
    asked, answered = _flow(delivered.frame), _flow(other.first.frame)
    return asked is not None and answered is not None and answered == (asked[0], asked[2], asked[1])


def _wants_answer(frame: bytes) -> bool:
    found = {layer.name: layer.fields for layer in layers(frame)}
    if "ICMP" in found:
        return found["ICMP"]["type"] == "echo request"
    return found.get("TCP", {}).get("flags") == "SYN"

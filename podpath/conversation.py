"""A conversation: a request, what came back, and where it failed, if it did. Pure.

What a request needs on its way may fail before it: a host first asks, by ARP, who has the next hop's address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath.journey import Captured, Packet
from podpath.layers import layers
from podpath.path import Place, owner
from podpath.topology import Plan
from podpath.trace import Died, Journey, called, is_arp, journey

Flow = tuple[str, tuple[str, str], tuple[str, str]]  # "TCP", then source and destination: address and port, as text
Translations = Mapping[Flow, IPv4Address]


@dataclass(frozen=True)
class Conversation:
    """A request, what came back, and where it failed, if it did. `journeys` are in the order of time."""

    request: Journey | None
    reply: Journey | None
    journeys: list[Journey]
    died: Died | None


def converse(
    found: Sequence[Packet],
    plan: Plan,
    source: str,
    target: IPv4Address | None = None,
    translated: Translations | None = None,
) -> Conversation:
    """The conversation that `source` began, with `target` if that is given, among all packets that were seen.

    `translated` is what those who translate addresses say of it: the destination of each flow, before and after.
    """
    asked = [packet for packet in found if packet.first.place.host == source and packet.first.place.outgoing]
    if target is not None:
        asked = [packet for packet in asked if (packet.addresses() or (None, None))[1] == target or is_arp(packet)]
    requests = [packet for packet in asked if not is_arp(packet) and packet.addresses() is not None]
    for packet in requests:
        one = _one(packet, found, plan, translated or {})
        if one.died is None and one.request is not None and one.request.delivered:
            return one
    if requests:
        return _one(requests[0], found, plan, translated or {})
    arps = [packet for packet in asked if is_arp(packet)]
    if not arps:
        return Conversation(None, None, [], Died(None, None, f"{source} sent nothing at all: it knows no way there"))
    died, journeys = _resolution(arps[0], found, plan)
    never = Died(
        None, Place(source, arps[0].first.place.interface, True), f"{source} knew where to, and sent nothing"
    )
    return Conversation(None, None, journeys, died or never)


def _one(packet: Packet, found: Sequence[Packet], plan: Plan, translated: Translations) -> Conversation:
    request = journey(packet, plan, _translated_to(packet, plan, translated))
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
        return Conversation(request, reply, journeys, died or _mistaken(packet, reply))
    if not _wants_answer(last.frame):
        return Conversation(request, None, journeys, None)
    silent = Place(last.place.host, last.place.interface, True)
    died = _unresolved(last.place.host, last.time, found, plan, journeys)
    why = f"{called(packet)} arrived at {last.place.host}, which did not answer"
    return Conversation(request, None, journeys, died or Died(last.place, silent, why))


def _mistaken(packet: Packet, reply: Journey) -> Died | None:
    """An answer that does not come from whom was asked: to the one who asked it is none."""
    asked, answered = flow_of(packet.first.frame), flow_of(reply.way[-1].frame)
    if asked is None or answered is None or answered == _reverse(asked):
        return None
    at, ends = reply.way[-1].place, [":".join(filter(None, flow[n])) for flow, n in ((answered, 1), (asked, 2))]
    why = f"the answer arrived at {at.host} from {ends[0]}, but {ends[1]} had been asked: its translation was not undone"
    return Died(at, None, why)


def _reverse(flow: Flow) -> Flow:
    return flow[0], flow[2], flow[1]


def _translated_to(packet: Packet, plan: Plan, translated: Translations) -> str | None:
    """The host that a packet's destination address was translated to: as was seen, or as those say who translate."""
    flow, first = flow_of(packet.first.frame), packet.addresses()
    if flow is None or first is None:
        return None
    for seen in reversed(packet.sightings):
        now = packet.addresses(seen)
        if now is not None and now[1] != first[1]:
            end = owner(plan, now[1])
            return end.name if end else None
    end = owner(plan, translated[flow]) if flow in translated else None
    return end.name if end else None


def _unresolved(host: str, since: float, found: Sequence[Packet], plan: Plan, journeys: list[Journey]) -> Died | None:
    """Why a host could not find out the MAC address of its next hop, if that is what kept it from sending on."""
    for packet in found:
        asks = is_arp(packet) and packet.layers[1].fields["operation"] == "who has"
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
            is_arp(other)
            and other.layers[1].fields["operation"] == "is at"
            and other.first.place.host == last.place.host
            and other.addresses() == addresses[::-1]
            and other.first.time >= last.time
        ):
            answer = journey(other, plan)
            return answer.died, [question, answer]
    silent = Place(last.place.host, last.place.interface, True)
    return Died(last.place, silent, f"{called(packet)} arrived at {last.place.host}, which did not answer"), [
        question
    ]


def flow_of(frame: bytes) -> Flow | None:
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
    asked, answered = flow_of(delivered.frame), flow_of(other.first.frame)
    return asked is not None and answered is not None and answered == _reverse(asked)


def _wants_answer(frame: bytes) -> bool:
    found = {layer.name: layer.fields for layer in layers(frame)}
    if "ICMP" in found:
        return found["ICMP"]["type"] == "echo request"
    return found.get("TCP", {}).get("flags") == "SYN"

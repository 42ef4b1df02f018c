"""Step 3 of the proxy: endpoints come and go. Kubernetes' own proxy is the measure; RFC 9293, 3.10.7.1; RFC 792; RFC 1122."""

import struct
from collections.abc import Iterable
from dataclasses import replace

from grader.check import Failed, Handle, Step
from grader.checks.service.trial import NAMES, NETWORK, POD, ServiceTrial, Talk, at
from grader.checks.translation.mistakes import went
from grader.checks.translation.parts import parts
from grader.checks.translation.wire import ACK, FIN, PSH, RST, SYN, Datagram
from podpath.configuration import Endpoint, Service
from podpath.datapath import Frames
from podpath.packets import ICMP, TCP, UDP, checksum

STEP = Step("Step 3: endpoints come and go")


@STEP.check(
    "update",
    "new connections go to the endpoints that there are; TCP connections stay where they are, UDP flows to removed ones end",
    1,
    "`update` changes what new connections get. A TCP connection lives as long as its two ends want; a UDP flow has no "
    "end, and would go to a dead endpoint for ever.",
    "SVC-53",
    "SVC-54",
    "SVC-56",
    "NAT-44",
    "MSV-16",
)
def update(t: ServiceTrial) -> None:
    services = [t.service(TCP, 3), t.service(UDP, 3), t.service(UDP, 1)]
    services.append(t.service(UDP, services[1].endpoints))  # the same pods behind another address
    services.append(t.service(TCP, 3, services[1].address, services[1].port))  # DNS has both, for one
    proxy = t.proxy(services)
    talks = [t.opens(proxy, t.first(service), service.endpoints) for service in services for _ in range(6)]
    grown = [_with(one, [*one.endpoints, *t.endpoints(3)]) for one in services]
    t.random.shuffle(grown)
    t.update(proxy, grown)
    for talk in t.random.sample(talks, len(talks)):
        t.goes(proxy, talk, "An endpoint more is no reason to leave the one that this connection has. It was {got}.")
        t.comes(proxy, talk)
    for service in grown:
        drawn = t.draws(proxy, [t.first(service) for _ in range(150)], service.endpoints)
        for number, end in enumerate(service.endpoints):
            if number not in drawn:  # by chance less than once in 10^9
                raise Failed(f"Of 150 new connections none got {at(end)}, which is an endpoint after update().")
    _one_goes(t, proxy, services, talks)
    _service_goes(t)
    _from_nothing(t)


def _with(service: Service, endpoints: Iterable[Endpoint]) -> Service:
    return replace(service, endpoints=tuple(endpoints))


def _one_goes(t: ServiceTrial, proxy: Handle, services: list[Service], talks: list[Talk]) -> None:
    """Endpoints are taken out, of the first two Services only; one of the UDP Service's changes its port."""
    left = []
    for service in services[:2]:
        gone = t.random.choice([talk.endpoint for talk in talks if _asks(talk, service)])
        rest = [end for end in service.endpoints if end != gone]
        rest += [replace(gone, port=t.port())] if service.protocol == "UDP" else []
        left.append(_with(service, rest))
    t.update(proxy, [*services[2:], *left])
    now = [*services[2:], *left]
    for talk in t.random.sample(talks, len(talks)):
        among = next(service.endpoints for service in now if _asks(talk, service))
        if talk.endpoint in among:
            t.goes(proxy, talk)
            t.comes(proxy, talk)
        elif talk.asked.protocol == TCP:
            why = (
                f"{at(talk.endpoint)} is no endpoint any more, and its TCP connections go on until their ends close them. "
                "It was {got}."
            )
            t.goes(proxy, talk, why)
            t.comes(proxy, talk)
        else:
            gone_at = at(talk.endpoint)
            t.unknown(proxy, talk, f"{gone_at} has been taken out: its UDP flows are forgotten. It was {{got}}.")
            why = f"{gone_at} has been taken out, so its UDP flows are forgotten, and this is a new one. It was {{got}}."
            again = t.opens(proxy, talk.asked, among, why)
            t.goes(proxy, again)
    for service in left:
        why = "This is a new connection, and it got an endpoint that is none any more. It was {got}."
        t.draws(proxy, [t.first(service) for _ in range(60)], service.endpoints, why)


def _asks(talk: Talk, service: Service) -> bool:
    here = talk.asked.destination, talk.asked.dport, NAMES[talk.asked.protocol]
    return here == (service.address, service.port, service.protocol)


def _service_goes(t: ServiceTrial) -> None:
    """A whole Service is deleted."""
    services = [t.service(TCP, 2), t.service(UDP, 2), t.service(TCP, 2)]
    proxy = t.proxy(services)
    tcp, udp, other = (t.opens(proxy, t.first(service), service.endpoints) for service in services)
    t.update(proxy, services[2:])
    t.goes(
        proxy, tcp, "The Service is deleted, and its TCP connections go on until their ends close them. It was {got}."
    )
    t.comes(proxy, tcp)
    t.unknown(proxy, udp, "The Service is deleted, and its UDP flows are forgotten. It was {got}.")
    for old in (udp.asked, t.first(services[0]), t.first(services[1])):
        t.passes(proxy, POD, t.outward(old.packet()), "This is no Service's address any more. It was {got}.")
    t.goes(proxy, other)
    t.update(proxy, services[::-1])
    for service in services:
        t.opens(proxy, t.first(service), service.endpoints)


def _from_nothing(t: ServiceTrial) -> None:
    """A Service gets its first endpoint, and loses its last one."""
    for protocol in t.random.sample((TCP, UDP), 2):
        empty = t.service(protocol, 0)
        full = _with(empty, t.endpoints(1))
        proxy, packet = t.proxy([empty]), t.first(empty)
        t.transcript.note("nobody is behind this Service yet")
        refused(t, proxy, packet)
        t.update(proxy, [full])
        talk = t.opens(proxy, packet, full.endpoints)
        t.comes(proxy, talk)
        t.update(proxy, [empty])
        if protocol == TCP:
            t.goes(proxy, talk, "This connection was there before, and goes on. It was {got}.")
            t.comes(proxy, talk)
        else:
            refused(t, proxy, packet)
        refused(t, proxy, t.first(empty))


@STEP.check(
    "nobody",
    "without endpoints TCP is answered with a RST, and UDP with an ICMP port unreachable",
    1,
    "Who asks in vain is told so at once, in the Service's name, and needs not wait. Never answer a RST, never a fragment but the "
    "first, never what came to a group.",
    "SVC-23",
    "SVC-65",
    "MSV-08",
)
def nobody(t: ServiceTrial) -> None:
    tcp, udp, fine = t.service(TCP, 0), t.service(UDP, 0), t.service(TCP, 2)
    proxy = t.proxy([tcp, fine, udp])
    t.opens(proxy, t.first(fine), fine.endpoints)
    for flags in t.random.sample([SYN, SYN, ACK, SYN | ACK, FIN | ACK, PSH | ACK, FIN, SYN | FIN, 0], 9):
        numbers = t.random.getrandbits(32), t.random.getrandbits(32)
        refused(t, proxy, t.first(tcp, flags=flags, numbers=numbers, tcp_options=t.random.choice([b"", bytes(8)])))
    refused(t, proxy, t.first(tcp, numbers=(0xFFFFFFFF, 0), options=bytes([148, 4, 0, 0])))
    for length in (0, 1, 8, 1400):
        refused(t, proxy, t.first(udp, payload=t.random.randbytes(length), unchecked=t.random.random() < 0.3))
    refused(t, proxy, t.first(udp, options=t.random.randbytes(20), ttl=1))
    for flags in (RST, RST | ACK):
        frame = t.outward(t.first(tcp, flags=flags).packet())
        t.stopped(proxy, POD, frame, "It is a RST. Who answers a RST with a RST may do so for ever. It was {got}.")
    for service in (tcp, udp):
        asked = t.first(service)
        group = b"\xff" * 6 + t.outward(asked.packet())[6:]
        t.stopped(proxy, POD, group, "The frame is for everybody, and may not be answered (RFC 1122). It was {got}.")
    _first, *later = t.first(udp, payload=t.random.randbytes(900)).fragments([400, 400])
    for fragment in later:
        why = "It is not the first fragment, and may not be answered (RFC 1122). It was {got}."
        t.harmless(proxy, POD, t.outward(fragment), why)
    other = replace(t.first(tcp), dport=t.port())
    t.passes(
        proxy, POD, t.outward(other.packet()), "No Service has this port, so it is not refused by you. It was {got}."
    )


def refused(t: ServiceTrial, proxy: Handle, packet: Datagram) -> None:
    """What is for a Service without endpoints is answered, and goes nowhere."""
    frame = t.outward(packet.packet())
    sent = t.ask(proxy, POD, frame)
    wrong = _wrong_refusal(frame, packet, sent)
    if wrong:
        t.transcript.wrong(f"{t.event(POD, frame)}: {went(sent)}")
        raise Failed(wrong)
    t.transcript.say(f"{t.event(POD, frame)}: {went(sent)}")


def _wrong_refusal(frame: bytes, packet: Datagram, sent: Frames) -> str:
    """What is wrong with an answer; "" if nothing is."""
    what = "a RST" if packet.protocol == TCP else "an ICMP port unreachable"
    if not sent:
        return f"Nobody is behind this Service. It was dropped, and the client waits in vain: {what} was to go back to it."
    if len(sent) > 1 or sent[0][0] == NETWORK:
        return f"Nobody is behind this Service, so it goes nowhere, and {what} goes back to the pod. It was {went(sent)}."
    answer = sent[0][1]
    if answer[:14] != frame[6:12] + frame[:6] + b"\x08\0":
        return "The answer goes back to whom it came from: swap the two MAC addresses of the frame."
    found = {part.name: part.text for part in parts(answer)}
    size = (answer[14] & 15) * 4 if len(answer) > 14 else 0
    total = int.from_bytes(answer[16:18], "big")
    if "IPv4 TTL" not in found or not size + 8 <= total <= len(answer) - 14:
        return f"The answer is no whole IPv4 packet: {answer.hex(' ')[:150]}"
    if checksum(answer[14 : 14 + size]):
        return "The IPv4 header checksum of the answer is wrong."
    if found["IPv4 TTL"] == "0" or int.from_bytes(answer[20:22], "big") & 0x3FFF:
        return "The answer has a TTL of 0, or says that it is a fragment."
    ends = found["source address"], found["destination address"]
    if ends != (str(packet.destination), str(packet.source)):
        return (
            f"The answer goes from {ends[0]} to {ends[1]}, and must go from {packet.destination} to {packet.source}."
        )
    body = answer[14 + size : 14 + total]
    if packet.protocol == TCP:
        return _wrong_rst(answer, body, packet)
    return _wrong_unreachable(answer[23], body, packet.packet())


def _wrong_rst(answer: bytes, body: bytes, packet: Datagram) -> str:
    if answer[23] != TCP or len(body) < 20:
        return "The answer to a TCP segment is a TCP segment: a RST."
    sport, dport, number, ack, offset, flags = struct.unpack_from("!HHIIBB", body)
    if (sport, dport) != (packet.dport, packet.sport):
        return (
            f"The answer goes from port {sport} to port {dport}, and must go from {packet.dport} to {packet.sport}."
        )
    if flags & ~(RST | ACK) or not flags & RST or len(body) != (offset >> 4) * 4:
        return f"The answer must be a bare RST; its flags are 0x{flags:02x}, and its length is {len(body)} bytes."
    length = len(packet.payload) + bool(packet.flags & SYN) + bool(packet.flags & FIN)
    if packet.flags & ACK:
        if number != packet.numbers[1]:
            return (
                f"To a segment with ACK, a RST has the sequence number that was acknowledged, {packet.numbers[1]}; this one "
                f"has {number} (RFC 9293, 3.10.7.1). The pod will not believe it."
            )
    elif not flags & ACK or ack != (packet.numbers[0] + length) % (1 << 32) or number:
        return (
            f"To a segment without ACK, a RST has the sequence number 0, and acknowledges what was sent: "
            f"{packet.numbers[0]} + {length} (its data, and one each for SYN and FIN). This one has {number}, and "
            f"{f'acknowledges {ack}' if flags & ACK else 'no ACK'} (RFC 9293, 3.10.7.1). The pod will not believe it."
        )
    pseudo = packet.destination.packed + packet.source.packed + struct.pack("!HH", TCP, len(body))
    return "The TCP checksum of the RST is wrong." if checksum(pseudo + body) else ""


def _wrong_unreachable(protocol: int, body: bytes, asked: bytes) -> str:
    if protocol != ICMP or body[:2] != b"\x03\x03":
        return "The answer to a datagram that nobody wants is an ICMP message of type 3, code 3."
    if checksum(body):
        return "The ICMP checksum of the answer is wrong."
    if body[4:8] != bytes(4):
        return "The four bytes behind the checksum are unused, and 0 (RFC 792)."
    header = (asked[0] & 15) * 4
    quote = body[8:]
    if len(quote) < header + 8:
        return f"It quotes {len(quote)} bytes, and must quote the IPv4 header ({header} bytes) and 8 more at least."
    if quote != asked[: len(quote)]:
        return "It must quote the packet as the pod has sent it, from its IPv4 header on; these are other bytes."
    return "" if len(quote) <= 576 else "It quotes more than the 576 bytes that an ICMP error may have (RFC 1812)."

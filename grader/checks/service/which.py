"""Step 1 of the proxy: to an endpoint and back."""

import struct
from dataclasses import replace

from grader.check import Handle, Step
from grader.checks.service.trial import NETWORK, NUMBERS, POD, ServiceTrial, Talk
from grader.checks.translation.wire import CHECKSUM_AT, SYN, Datagram, header
from podpath.configuration import Service
from podpath.packets import BROADCAST, ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_VLAN, ICMP, TCP, UDP, arp, ethernet

STEP = Step("Step 1: to an endpoint and back")
BOTH = (TCP, UDP)
_SCTP = 132


@STEP.check(
    "pass-others",
    "what has to do with no Service passes untouched, in both directions",
    1,
    "You are a bump in the wire. A Service is an address, a port and a protocol; whatever does not have all three of them "
    "crosses you as if you were not there.",
    "SVC-33",
    "PK-12",
)
def others(t: ServiceTrial) -> None:
    services = [t.service(protocol, 3) for protocol in BOTH]
    proxy = t.proxy(services)
    ask = arp(1, t.own_mac, t.own, bytes(6), services[0].address)
    for port, frame in (
        (POD, ethernet(BROADCAST, t.own_mac, ETH_ARP, ask)),
        (NETWORK, ethernet(t.own_mac, t.gateway, ETH_ARP, ask + bytes(18))),
        (POD, ethernet(b"\x33\x33\0\0\0\1", t.own_mac, ETH_IPV6, t.random.randbytes(60))),
        (POD, ethernet(t.gateway, t.own_mac, ETH_VLAN, _tagged(t.first(services[1])))),
        (NETWORK, ethernet(t.own_mac, t.gateway, 0x88B5, t.random.randbytes(46))),
    ):
        t.passes(proxy, port, frame)
    for service in t.random.sample(services, 2):
        _of_others(t, proxy, service)
        _to_the_address(t, proxy, service)
    _broken(t, proxy, services)


def _tagged(packet: Datagram) -> bytes:
    """What follows the EtherType of a frame in a VLAN: the tag, and a packet."""
    return struct.pack("!HH", 5, ETH_IPV4) + packet.packet()


def _of_others(t: ServiceTrial, proxy: Handle, service: Service) -> None:
    """Pods speak to pods, by their own addresses; endpoints among them."""
    protocol, end = NUMBERS[service.protocol], service.endpoints[0]
    straight = t.datagram(protocol, t.own, t.port(), end.address, end.port, SYN)
    t.passes(proxy, POD, t.outward(straight.packet()), "The pod speaks straight to another pod. It was {got}.")
    why = "This comes from another pod, to which the pod has spoken straight, by its own address. It was {got}."
    t.passes(proxy, NETWORK, t.inward(straight.answer().packet()), why)
    for source, sport in ((t.pod(), t.port()), (end.address, t.port())):
        asked = t.datagram(protocol, source, sport, t.own, service.port, SYN)
        t.passes(proxy, NETWORK, t.inward(asked.packet()), "Another pod asks this one, and it was {got}.")
        t.passes(proxy, POD, t.outward(asked.answer().packet()), "The pod answers another pod, and it was {got}.")


def _to_the_address(t: ServiceTrial, proxy: Handle, service: Service) -> None:
    """The right address alone is not enough."""
    protocol = NUMBERS[service.protocol]
    right = t.first(service)
    other = replace(right, dport=t.port())
    why = f"No Service has port {other.dport} of this address: it passes untouched. It was {{got}}."
    t.passes(proxy, POD, t.outward(other.packet()), why)
    other = replace(right, protocol=TCP if protocol == UDP else UDP)
    why = f"This Service is one of {service.protocol} alone: of the other protocol the port is nobody's. It was {{got}}."
    t.passes(proxy, POD, t.outward(other.packet()), why)
    t.passes(proxy, POD, t.outward(right.sent_to(t.pod(), right.dport).packet()))
    ping = t.datagram(ICMP, t.own, t.port(), service.address, 0)
    t.passes(proxy, POD, t.outward(ping.packet()), "A ping has no port, so it is for no Service. It was {got}.")
    body = struct.pack("!HH", right.sport, right.dport) + t.random.randbytes(40)
    strange = header(t.own, service.address, _SCTP, len(body), ident=7, ttl=60) + body
    t.passes(proxy, POD, t.outward(strange), "It is neither TCP nor UDP, whatever stands there. It was {got}.")
    back = right.answer(flags=SYN)
    why = "It comes from the network, and is no endpoint's answer. It was {got}."
    t.passes(proxy, NETWORK, t.inward(back.packet()), why)
    t.passes(proxy, NETWORK, t.inward(replace(right, source=t.pod()).packet()), why)


def _broken(t: ServiceTrial, proxy: Handle, services: list[Service]) -> None:
    """What is cut off, or no IPv4 though it says so. Most of it would be for a Service."""
    tcp, udp = (t.first(service) for service in services)
    whole = udp.packet()
    broken = [whole[:cut] for cut in (0, 1, t.random.randrange(2, 19), 19, 20, 22)]
    broken += [bytes([first]) + whole[1:] for first in (0x65, 0x44, 0x4F)]
    broken += [whole[:2] + struct.pack("!H", length) + whole[4:] for length in (len(whole) + 1, 19, 0)]
    for cut in broken:
        why = "It is no whole IPv4 packet: drop it, or let it pass as it is. It was {got}."
        t.harmless(proxy, POD, t.outward(cut), why)
    for length in (0, 1, 13):
        t.harmless(proxy, POD, t.outward(whole)[:length], "A frame without a whole Ethernet header was {got}.")
    for packet, least in ((tcp, 20), (udp, 8)):
        for length in sorted({0, 1, 3, 4, 7, least - 1} & set(range(least))):
            body = packet.transport()[:length]
            options = t.random.choice([b"", t.random.randbytes(8)])
            cut = header(t.own, packet.destination, packet.protocol, length, ident=9, ttl=9, options=options) + body
            why = f"Of its header of {least} bytes only {length} are there: drop it, or let it pass. It was {{got}}."
            for padding in (0, 26):
                t.harmless(proxy, POD, t.outward(cut, bytes(padding)), why)
        zero = replace(packet, sport=0)
        t.harmless(proxy, POD, t.outward(zero.packet()), "There is no port 0: drop it, or let it pass. It was {got}.")
    for service in services:
        t.opens(proxy, t.first(service), service.endpoints)


@STEP.check(
    "connect",
    "a connection to a Service reaches an endpoint and stays with it, and the answers come from the Service",
    1,
    "The destination becomes the endpoint's address and port, for every packet of the connection; in the answers the "
    "source becomes the Service's again. Nothing else changes but the checksums.",
    "SVC-29",
    "SVC-33",
    "SVC-56",
    "SVC-57",
    "NAT-47",
    "MSV-02",
    "MSV-03",
    "MSV-05",
    "MSV-11",
)
def connect(t: ServiceTrial) -> None:
    dns = t.address(t.virtual)
    services = [t.service(TCP, 5, dns, 53), t.service(UDP, 5, dns, 53), t.service(TCP, 1), t.service(UDP, 4)]
    services.append(t.service(TCP, 3, services[2].address))
    t.random.shuffle(services)
    proxy = t.proxy(services)
    talks = []
    for service in t.random.sample(services * 2, 10):
        talks.append(t.opens(proxy, t.first(service), service.endpoints))
        t.goes(proxy, talks[-1], flags=SYN, payload=talks[-1].asked.payload)  # again: no answer has come yet
        t.comes(proxy, talks[-1], flags=SYN | 16)
    shared = t.port()
    for service in t.random.sample(services, 5):  # one port for all of them
        talks.append(t.opens(proxy, t.first(service, sport=shared), service.endpoints))
        talks.append(t.opens(proxy, t.first(service, t.pod(), sport=shared), service.endpoints))
    for talk in t.random.sample(talks, len(talks)):
        t.goes(proxy, talk, flags=t.random.choice([SYN, 16, 24]))
        t.comes(proxy, talk)
    for talk in t.random.sample(talks, 8):
        _as_it_is(t, proxy, talk)


def _as_it_is(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    """Options, large packets, padding: all is kept."""
    for changes in (
        {"options": t.random.randbytes(t.random.choice([4, 40]))},
        {"tos": t.random.randrange(256), "ttl": 1},
        {"payload": t.random.randbytes(1400 + t.random.randrange(2))},
        {"tcp_options": bytes([2, 4, 5, 180, 1, 3, 3, 7])},
    ):
        t.goes(proxy, talk, **changes)
    before, after = talk.answer(b"!", options=b"\x94\x04\0\0")
    padding = t.random.randbytes(17)
    t.turns(proxy, NETWORK, t.inward(before.packet(), padding), POD, t.inward(after.packet(), padding))


@STEP.check(
    "checksums",
    "a missing checksum stays missing, and a damaged packet stays damaged",
    1,
    "Mend a checksum by the difference (RFC 1624), do not compute it anew: 0 in UDP means none, and stays 0; a packet "
    "that was damaged on the way must not look sound afterwards.",
    "NAT-04",
    "NAT-05",
    "PK-03",
    "PK-07",
    "PK-09",
)
def checksums(t: ServiceTrial) -> None:
    services = [t.service(protocol, 1) for protocol in BOTH]
    proxy = t.proxy(services)
    for service in services:
        talk = t.opens(proxy, t.first(service), service.endpoints)
        for _ in range(3):
            if service.protocol == "UDP":
                t.goes(proxy, talk, unchecked=True)
                t.comes(proxy, talk, unchecked=True)
            t.goes(proxy, talk, payload=_for_zero(t, talk.seen))
            sent, got = talk.answer(bytes(10))
            payload = _for_zero(t, got)
            sent, got = (replace(one, payload=payload) for one in (sent, got))
            t.turns(proxy, NETWORK, t.inward(sent.packet()), POD, t.inward(got.packet()))
            _damaged(t, proxy, talk)


def _for_zero(t: ServiceTrial, packet: Datagram) -> bytes:
    """A payload for which the checksum of a packet comes out as 0."""
    packet = replace(packet, payload=t.random.randbytes(8) + bytes(2), flags=16)
    return packet.payload[:8] + packet.transport()[CHECKSUM_AT[packet.protocol] :][:2]


def _damaged(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    """Damaged packets, there and back. To drop them will do as well."""
    damage = t.random.randrange(1, 0xFFFF)
    more, (sent, got) = talk.more(damage=damage), talk.answer(b"damaged", damage=damage)
    for port, before, after in (
        (POD, t.outward(more.asked.packet()), t.outward(more.seen.packet())),
        (NETWORK, t.inward(sent.packet()), t.inward(got.packet())),
    ):
        t.transcript.note("the next packet has been damaged on the way: its checksum does not fit")
        answer = t.ask(proxy, port, before)
        t.judge(port, before, answer, [(NETWORK if port == POD else POD, after)] if answer else [])

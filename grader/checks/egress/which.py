"""Step 1 of the NAT: which packets it has to do with, and which it has not."""

import struct
from ipaddress import IPv4Address

from grader.check import Handle, Step
from grader.checks.egress.trial import INSIDE, OUTSIDE, PROTOCOLS, EgressTrial
from grader.checks.translation.wire import ACK, ECHO_REPLY, SYN, header
from podpath.packets import BROADCAST, ETH_ARP, ETH_IPV4, ETH_IPV6, ETH_VLAN, ICMP, arp, ethernet

STEP = Step("Step 1: which packets")

_TIMESTAMP, _GRE, _SCTP, _ESP = 13, 47, 132, 50


@STEP.check(
    "pass-others",
    "what is not IPv4, and what the node itself sends and gets, passes untouched",
    1,
    "You are a bump in the wire: ARP, IPv6, tagged frames and the node's own traffic cross you as if you were not there.",
    "NAT-51",
    "PK-12",
)
def others(t: EgressTrial) -> None:
    nat = t.nat()
    server, node = t.server(), t.address(t.nodes)
    ask = arp(1, t.node, t.public, bytes(6), node)
    for port, frame in (
        (INSIDE, ethernet(BROADCAST, t.node, ETH_ARP, ask)),
        (OUTSIDE, ethernet(t.node, t.gateway, ETH_ARP, arp(2, t.gateway, node, t.node, t.public) + bytes(18))),
        (INSIDE, ethernet(b"\x33\x33\0\0\0\1", t.node, ETH_IPV6, t.random.randbytes(60))),
        (OUTSIDE, ethernet(t.node, t.gateway, 0x88B5, t.random.randbytes(46))),
        (INSIDE, ethernet(t.gateway, t.node, ETH_VLAN, _tagged(t, server))),
    ):
        t.passes(nat, port, frame)
    for protocol in t.random.sample(PROTOCOLS, 3):
        own = t.datagram(protocol, t.public, t.port(), server, 443, SYN)
        t.passes(
            nat,
            INSIDE,
            t.outward(own.packet()),
            "The node's own packet, from its own address, must pass untouched; it was {got}.",
        )
        t.passes(nat, OUTSIDE, t.inward(own.answer().packet()), "What is meant for the node itself was {got}.")
        asked = t.datagram(protocol, server, t.port(), t.public, 22, SYN)
        t.passes(
            nat,
            OUTSIDE,
            t.inward(asked.packet(), bytes(6)),
            "Somebody outside asks the node itself (no pod has that port), and it was {got}. Let it pass: the node "
            "answers for itself.",
        )
    _broken(t, nat)


def _tagged(t: EgressTrial, server: IPv4Address) -> bytes:
    """What follows the EtherType of a frame in a VLAN: the tag, and a pod's packet to a server."""
    return struct.pack("!HH", 5, ETH_IPV4) + t.datagram(17, t.pod(), t.port(), server, 53).packet()


def _broken(t: EgressTrial, nat: Handle) -> None:
    """What is too short, or no IPv4 though it says so."""
    whole = t.datagram(17, t.pod(), t.port(), t.pod(), 53, payload=bytes(20)).packet()
    for packet in (
        *(whole[:cut] for cut in (0, 1, t.random.randrange(2, 19), 19)),
        bytes([0x65]) + whole[1:],
        bytes([0x44]) + whole[1:],
        bytes([0x4F]) + whole[1:48],
        whole[:2] + struct.pack("!H", len(whole) + 1) + whole[4:],
        whole[:2] + struct.pack("!H", 19) + whole[4:],
    ):
        why = "An IPv4 packet whose header is not whole, or that is shorter than it says, is dropped; it was {got}."
        t.stopped(nat, t.random.choice([INSIDE, OUTSIDE]), t.outward(packet), why)
    for length in (0, 1, 13):
        t.stopped(nat, INSIDE, t.outward(whole)[:length], "A frame without a whole Ethernet header was {got}.")


@STEP.check(
    "stay-inside",
    "from pod to pod, and from pod to node, nothing is translated",
    1,
    "In the cluster everybody sees everybody's own address. Only what leaves the cluster is translated.",
    "NAT-49",
    "MNT-15",
)
def stay_inside(t: EgressTrial) -> None:
    another = t.network(192, 26)
    nat = t.nat(exempt=[t.nodes, another])
    first, last = t.cluster[1], t.cluster[-2]
    near = [t.pod(), first, last, t.address(t.nodes), t.nodes[0], t.address(another), t.public]
    near += [IPv4Address(text) for text in ("224.0.0.251", "239.1.2.3", "255.255.255.255")]
    for other in near:
        protocol, pod = t.random.choice(PROTOCOLS), t.pod()
        asked = t.datagram(protocol, pod, t.port(), other, t.port(), SYN)
        whose = "pod" if other in t.cluster else "group address" if other.packed[0] > 223 else "node"
        t.passes(
            nat, INSIDE, t.outward(asked.packet()), f"From a pod to a {whose} nothing is translated; it was {{got}}."
        )
        if whose != "group address" and other != t.public:
            why = f"A {whose} sends to a pod, and it was {{got}}. It must pass untouched."
            t.passes(nat, OUTSIDE, t.inward(asked.answer().packet()), why)
            fresh = t.datagram(protocol, other, t.port(), pod, t.port(), SYN)
            t.passes(nat, OUTSIDE, t.inward(fresh.packet()), why)
            own = fresh.sent_to(t.public, fresh.dport)
            t.passes(nat, OUTSIDE, t.inward(own.packet()), f"A {whose} sends to the node itself, and it was {{got}}.")


@STEP.check(
    "no-leak",
    "no packet leaves with a pod's address, and none comes straight to one",
    1,
    "What a pod sends to the outside is translated or dropped. What comes from outside to a pod's own address is dropped.",
    "NAT-55",
    "MNT-18",
)
def no_leak(t: EgressTrial) -> None:
    nat = t.nat()
    for protocol in t.random.sample([_GRE, _SCTP, _ESP, 255], 3):
        pod, body = t.pod(), t.random.randbytes(40)
        for other, word in ((t.pod(), "near"), (t.server(), "far")):
            packet = header(pod, other, protocol, len(body), ident=7, ttl=60) + body
            if word == "near":
                t.passes(nat, INSIDE, t.outward(packet))
            else:
                why = f"Protocol {protocol} has no ports that you could translate. It must be dropped, and it was {{got}}."
                t.stopped(nat, INSIDE, t.outward(packet), why)
    _other_icmp(t, nat)
    beyond = [t.cluster.network_address - 1, t.cluster.broadcast_address + 1]
    for stranger in [t.server(), *beyond]:
        protocol, pod = t.random.choice(PROTOCOLS), t.pod()
        t.passes(nat, OUTSIDE, t.inward(t.datagram(protocol, t.pod(), t.port(), pod, 80, SYN).packet()))
        straight = t.datagram(protocol, stranger, t.port(), pod, 80, t.random.choice([SYN, ACK, SYN | ACK]))
        t.stopped(
            nat,
            OUTSIDE,
            t.inward(straight.packet()),
            f"{stranger} is outside, and sends straight to a pod's own address. Nobody outside has been told that "
            "address: drop it. It was {got}.",
        )


def _other_icmp(t: EgressTrial, nat: Handle) -> None:
    """ICMP that is neither an echo request nor an error."""
    pod, server = t.pod(), t.server()
    answer = t.datagram(ICMP, pod, 0, server, t.port(), kind=ECHO_REPLY)
    stamp = t.datagram(ICMP, pod, t.port(), server, 0, kind=_TIMESTAMP)
    for packet, name in ((answer, "An echo reply that a pod sends"), (stamp, "An ICMP timestamp request")):
        t.passes(nat, INSIDE, t.outward(packet.sent_to(t.pod(), packet.dport).packet()))
        why = f"{name} to the outside is not for you to translate: it must be dropped, and it was {{got}}."
        t.stopped(nat, INSIDE, t.outward(packet.packet()), why)

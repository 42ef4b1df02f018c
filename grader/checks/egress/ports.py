"""Step 3 of the NAT: whose port it is. RFC 4787, 4 (REQ-1, REQ-3, REQ-11); RFC 5382, REQ-1 and REQ-7."""

from collections.abc import Sequence
from dataclasses import replace

from grader.check import Failed, Handle, LearnerError, Step
from grader.checks.egress.trial import DEFAULT_PORTS, INSIDE, OUTSIDE, PROTOCOLS, EgressTrial
from grader.checks.translation.wire import ACK, SYN, Datagram
from podpath.packets import ICMP, TCP, UDP

STEP = Step("Step 3: ports")


@STEP.check(
    "same-port",
    "two pods with the same port get two, and each gets its own answers",
    1,
    "A port of the public address belongs to one pod's port. The first keeps its number; the next gets a free one of "
    "`ports`.",
    "NAT-02",
    "NAT-11",
    "NAT-20",
    "NAT-29",
    "MNT-13",
)
def same_port(t: EgressTrial) -> None:
    for protocol in t.random.sample(PROTOCOLS, 3):
        nat, first = t.nat(*_some_range(t)), t.flow(protocol, flags=SYN)
        flows = [first, *(replace(first, source=t.pod()) for _ in range(3))]
        flows.insert(t.random.randrange(1, 5), t.flow(protocol, sport=first.sport, flags=SYN))  # to another server
        given: list[int] = []
        for packet in flows:
            if not given:
                why = f"No other pod has port {first.sport}, so it is kept. It became {{got}}."
                given.append(t.leaves(nat, packet, first.sport, why=why))
            else:
                free = set(t.ports) - set(given)
                given.append(t.leaves(nat, packet, among=free, why=_taken(given, t.ports)))
        _each_its_own(t, nat, flows, given)
    nat, packet = t.nat(), t.flow(UDP)
    t.transcript.note("each protocol has ports of its own")
    owners = []
    for protocol in t.random.sample(PROTOCOLS, 3):
        owners.append(replace(t.flow(protocol), sport=packet.sport))
        why = "No pod has that port of this protocol, so it is kept. It became {got}."
        t.leaves(nat, owners[-1], packet.sport, why=why)
    for one, other in zip(owners, [*owners[1:], owners[0]], strict=True):
        both = replace(one, source=other.source)
        why = "That port of this protocol is another pod's, whatever this pod has of other protocols. It left from {got}."
        t.leaves(nat, both, among=set(DEFAULT_PORTS) - {packet.sport}, why=why)
    t.transcript.note("and so has each node: here is another NAT")
    why = "No pod of this node has that port, so it is kept. It became {got}. Does another NAT share your tables?"
    t.leaves(t.nat(), replace(t.flow(UDP), sport=packet.sport), packet.sport, why=why)


def _some_range(t: EgressTrial) -> tuple[range | None]:
    """The usual ports, or some others."""
    start = t.random.randrange(1024, 60000)
    return (t.random.choice([None, range(start, start + t.random.randrange(5, 200))]),)


def _taken(given: Sequence[int], ports: range) -> str:
    return (
        f"The ports {', '.join(map(str, given))} are taken, so another one of {ports.start} to {ports.stop - 1} had to be "
        "found; it left from {got}."
    )


def _each_its_own(t: EgressTrial, nat: Handle, flows: Sequence[Datagram], given: Sequence[int]) -> None:
    """Every flow goes on from its port, and its answers come back to it."""
    pairs = list(zip(flows, given, strict=True))
    for packet, port in t.random.sample(pairs, len(pairs)):
        answer = packet.sent_by(t.public, port).answer(t.random.randbytes(20), SYN | ACK)
        t.returns(nat, answer, packet.source, packet.sport)
        more = replace(packet, payload=b"more", flags=ACK)
        t.leaves(nat, more, port, why=f"This flow had left from {port}, and now it left from {{got}}.")


@STEP.check(
    "one-port",
    "a pod's port has one public port, whomever it speaks to",
    1,
    "Endpoint-independent mapping (RFC 4787, REQ-1): the same address and port inside is the same port outside.",
    "NAT-09",
    "NAT-25",
    "NAT-43",
    "MNT-05",
)
def one_port(t: EgressTrial) -> None:
    for protocol in t.random.sample(PROTOCOLS, 3):
        nat, first = t.nat(), t.flow(protocol, flags=SYN)
        t.leaves(nat, first, first.sport)
        second = replace(first, source=t.pod())
        port = t.leaves(
            nat, second, among=set(DEFAULT_PORTS) - {first.sport}, why=_taken([first.sport], DEFAULT_PORTS)
        )
        flows = [second]
        for _ in range(4):
            more = t.flow(protocol, second.source, second.sport, flags=SYN)
            flows.append(more)
            why = (
                f"{second.source} spoke from port {second.sport} before, and left from {port}. To another server that "
                "port is the same; it was {got}. Programs that tell each other their public port depend on it."
            )
            t.leaves(nat, more, port, why=why)
        if protocol != ICMP:
            same_server = replace(second, dport=second.dport ^ 4096)
            flows.append(same_server)
            t.leaves(
                nat, same_server, port, why=f"To another port of the server it left from {{got}}, not from {port}."
            )
        _each_its_own(t, nat, [*flows, first], [port] * len(flows) + [first.sport])


@STEP.check(
    "exhausted",
    "when no port is left a new flow is dropped and counted, and the others go on",
    1,
    "Without a free port there is nothing to do but to drop the packet and to count it. No port is taken from anybody.",
    "NAT-53",
    "NAT-20",
)
def exhausted(t: EgressTrial) -> None:
    for protocol in t.random.sample(PROTOCOLS, 2):
        start = t.random.randrange(2000, 60000)
        ports = range(start, start + t.random.randrange(3, 7))
        nat, first = t.nat(ports), t.flow(protocol, sport=t.random.choice([start - 3, ports.stop + 3]), flags=SYN)
        _counted(t, nat, 0)
        flows, given = [first], [t.leaves(nat, first, first.sport)]
        for _ in ports:
            packet = replace(first, source=t.pod())
            free = set(ports) - set(given)
            given.append(t.leaves(nat, packet, among=free, why=_taken(given, ports)))
            flows.append(packet)
        late = first
        for number in range(1, 5):
            late = (
                late if number == 4 else replace(first, source=t.pod(), sport=t.random.choice([first.sport, *ports]))
            )
            why = "All ports are taken: the packet of a new flow has to be dropped, and it was {got}."
            t.stopped(nat, INSIDE, t.outward(late.packet()), why)
            _counted(t, nat, number)
        lucky = t.flow(protocol, sport=ports.stop + 7, flags=SYN)
        t.leaves(
            nat, lucky, lucky.sport, why="Nobody has that port, so it is kept, in `ports` or not. It became {got}."
        )
        again = t.flow(protocol, flows[1].source, flows[1].sport, flags=SYN)
        t.leaves(
            nat, again, given[1], why="This pod's port has a public one, and needs no other. It left from {got}."
        )
        _each_its_own(t, nat, flows, given)
        _counted(t, nat, 4)


def _counted(t: EgressTrial, nat: Handle, wanted: int) -> None:
    with t.transcript.step(f"{t.clock()}exhausted() is {wanted}"):
        said = nat.call("exhausted")
        if type(said) is not int:
            raise LearnerError(f"exhausted() returned {str(said)[:60]}; it must return a number")
        if said != wanted:
            raise Failed(f"exhausted() says {said}. So far {wanted} packets were dropped because no port was free.")


@STEP.check(
    "own-ports",
    "the node's own ports are not given to pods",
    1,
    "The public address is the node's own. A port from which it has itself sent in the last 5 minutes is not free, and "
    "what comes there is for the node, unless it answers a pod.",
    "NAT-20",
    "NAT-41",
)
def own_ports(t: EgressTrial) -> None:
    for protocol in t.random.sample(PROTOCOLS, 3):
        nat, packet = t.nat(), t.flow(protocol, flags=SYN)
        own = t.datagram(protocol, t.public, packet.sport, t.server(), 443, SYN)
        t.passes(nat, INSIDE, t.outward(own.packet()))
        why = "The node itself has just sent from that port. A pod has to get another; it left from {got}."
        port = t.leaves(nat, packet, among=set(DEFAULT_PORTS) - {own.sport}, why=why)
        t.passes(nat, OUTSIDE, t.inward(own.answer().packet()), "This answers the node itself, and it was {got}.")
        t.returns(nat, packet.sent_by(t.public, port).answer(), packet.source, packet.sport)
    protocol = t.random.choice((TCP, UDP))
    nat, packet = t.nat(), t.flow(protocol, flags=SYN)
    t.transcript.note("now the pod is first")
    t.leaves(nat, packet, packet.sport)
    own = t.datagram(protocol, t.public, packet.sport, t.server(), 443, SYN)
    stranger = own.answer()
    t.stopped(
        nat, OUTSIDE, t.inward(stranger.packet()), "This is no answer to the pod that has the port. It was {got}."
    )
    t.passes(nat, INSIDE, t.outward(own.packet()), "The node's own packet passes untouched, always. It was {got}.")
    why = "The node has sent from that port, to this server. What is no answer to the pod is for the node. It was {got}."
    t.passes(nat, OUTSIDE, t.inward(stranger.packet()), why)
    t.returns(nat, packet.sent_by(t.public, packet.sport).answer(), packet.source, packet.sport)
    _until(t, protocol)


def _until(t: EgressTrial, protocol: int) -> None:
    """It is the node's for 5 minutes."""
    nat, packet = t.nat(), t.flow(protocol, flags=SYN)
    own = t.datagram(protocol, t.public, packet.sport, t.server(), 443)
    t.passes(nat, INSIDE, t.outward(own.packet()))
    t.wait(200, nat)
    t.passes(nat, INSIDE, t.outward(own.packet()))
    t.wait(297, nat)
    why = "The node itself has sent from that port 297 s ago. A pod has to get another; it left from {got}."
    t.leaves(nat, packet, among=set(DEFAULT_PORTS) - {own.sport}, why=why)
    t.wait(6, nat)
    why = "The node has not sent from that port for more than 5 minutes, so it is free and kept. It became {got}."
    t.leaves(nat, replace(packet, source=t.pod()), packet.sport, why=why)

"""Step 4 of the NAT: how long it remembers. RFC 4787, REQ-5 and 6; RFC 5382, REQ-5; RFC 5508, REQ-2; RFC 6146, 3.5.2."""

from collections.abc import Callable
from dataclasses import replace

from grader.check import Handle, Step
from grader.checks.egress.trial import INSIDE, OUTSIDE, EgressTrial
from grader.checks.translation.wire import ACK, FIN, RST, SYN, Datagram
from podpath.packets import ICMP, TCP, UDP

STEP = Step("Step 4: time")

IDLE = {UDP: 300.0, ICMP: 60.0}
TRANSITORY, ESTABLISHED = 240.0, 7440.0
_MARGIN = 3.0  # seconds before and after a limit: tables are swept now and then


@STEP.check(
    "idle",
    "a UDP flow is forgotten after 5 minutes of silence, a ping after one, and its port is free again",
    1,
    "The time starts anew with every packet that the pod sends; when it is over, the flow and its port are gone.",
    "NAT-14",
    "NAT-15",
    "NAT-33",
    "NAT-54",
    "NAT-55",
    "MNT-11",
)
def idle(t: EgressTrial) -> None:
    for protocol, name in ((UDP, "UDP: 5 minutes"), (ICMP, "ping: 60 s")):
        t.transcript.note(name)
        limit, nat = IDLE[protocol], t.nat()
        kept, gone = t.flow(protocol), t.flow(protocol)
        for packet in (kept, gone):
            t.leaves(nat, packet, packet.sport)
        for _ in range(3):
            t.wait(limit - _MARGIN, nat)
            _alive(t, nat, kept)
            t.leaves(nat, kept, kept.sport)
        _forgotten(t, nat, gone)
        t.wait(limit - _MARGIN, nat)
        _alive(t, nat, kept)
        t.wait(limit + _MARGIN, nat)
        _forgotten(t, nat, kept)
    _the_last_flow_counts(t)
    _room_again(t)


def _alive(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    """The answer still comes through."""
    answer = packet.sent_by(t.public, packet.sport).answer(b"still there")
    t.turns_in(nat, answer, packet, "The pod's flow is not over yet: this must go in to it. It was {got}.")


def _forgotten(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    """The answer comes too late, and another pod may have the port."""
    late = t.inward(packet.sent_by(t.public, packet.sport).answer(b"too late", ACK).packet())
    t.kept_out(nat, late, "That flow has been silent for too long and is forgotten; yet this was {got}.")
    heir = t.flow(packet.protocol, sport=packet.sport, flags=SYN)
    why = "The flow that had this port is forgotten, so the port is free, and kept. It became {got}."
    t.leaves(nat, heir, packet.sport, why=why)
    why = "This is an answer to a flow that is forgotten. Another pod has the port now and must not get it. It was {got}."
    t.stopped(nat, OUTSIDE, late, why)


def _the_last_flow_counts(t: EgressTrial) -> None:
    """A port is kept as long as one of its flows lives."""
    nat, first = t.nat(), t.flow(UDP)
    taken = replace(first, source=t.pod())
    t.transcript.note("a pod's port with two flows, of which one goes on")
    t.leaves(nat, taken, taken.sport)
    port = t.leaves(nat, first, among=set(t.ports) - {taken.sport}, why="The port was taken. It left from {got}.")
    other = t.flow(UDP, first.source, first.sport)
    t.leaves(nat, other, port)
    for _ in range(2):
        t.wait(IDLE[UDP] - _MARGIN, nat)
        t.leaves(nat, other, port)
    late = first.sent_by(t.public, port).answer(b"too late")
    why = "This flow is over, though another one of the same pod's port goes on. It must be dropped; it was {got}."
    t.stopped(nat, OUTSIDE, t.inward(late.packet()), why)
    third = t.flow(UDP, first.source, first.sport)
    why = f"One flow of this pod's port is alive, from public port {port}; a new one left from {{got}}."
    t.leaves(nat, third, port, why=why)


def _room_again(t: EgressTrial) -> None:
    """All ports are taken, and then they are not."""
    start = t.random.randrange(2000, 60000)
    nat, first = t.nat(range(start, start + 2)), t.flow(UDP, sport=start + 5)
    t.leaves(nat, first, first.sport)
    for when in ("taken", "free again"):
        t.transcript.note(f"both ports of the range are to be {when}")
        for _ in range(2):
            why = "It had to leave from one of the two ports, and left from {got}."
            t.leaves(nat, replace(first, source=t.pod()), among={start, start + 1}, why=why)
        t.stopped(
            nat, INSIDE, t.outward(replace(first, source=t.pod()).packet()), "No port is free, and it was {got}."
        )
        t.leaves(nat, first, first.sport)
        t.wait(IDLE[UDP] - _MARGIN, nat)
        t.leaves(nat, first, first.sport)
        t.wait(2 * _MARGIN, nat)


@STEP.check(
    "tcp-states",
    "a TCP flow lives for 2 hours and 4 minutes of silence once it is open, and for 4 minutes before and after",
    1,
    "Open is a flow when both ends have sent a SYN, until both have sent a FIN or one of them a RST. Then the last packets "
    "still have to pass.",
    "NAT-26",
    "NAT-31",
    "NAT-44",
    "MNT-11",
    "MNT-16",
)
def tcp_states(t: EgressTrial) -> None:
    nat = t.nat()
    plays = {
        "the pod alone has sent a SYN": (_asks, TRANSITORY),
        "both have sent a FIN": (_closes, TRANSITORY),
        "the server has sent a RST": (_resets, TRANSITORY),
        "the pod has sent a RST": (_gives_up, TRANSITORY),
        "both have sent a SYN, which crossed": (_meets, ESTABLISHED),
        "one of them has sent a FIN": (_half_closes, ESTABLISHED),
        "open": (_opens, ESTABLISHED),
    }
    flows = {}
    for name in t.random.sample(list(plays), len(plays)):
        flows[name] = t.flow(TCP), t.flow(TCP)
        for packet in flows[name]:
            _played(t, nat, packet, name, plays[name][0])
    for limit in (TRANSITORY, ESTABLISHED):
        due = [name for name in flows if plays[name][1] == limit]
        t.wait(t.start + limit - _MARGIN - t.now, nat)
        for name in due:
            t.transcript.note(name)
            _alive(t, nat, flows[name][0])
        t.wait(2 * _MARGIN, nat)
        for name in due:
            _over(t, nat, flows[name][1], name, limit)
    _begins_anew(t)


Play = Callable[[EgressTrial, Handle, Datagram], None]


def _played(t: EgressTrial, nat: Handle, packet: Datagram, name: str, play: "Play") -> None:
    """A flow gets so far; if all goes well that is one line."""
    with t.as_one(f"{t.clock()}{packet.source}:{packet.sport} > {packet.destination}:{packet.dport}: {name}"):
        play(t, nat, packet)


def _over(t: EgressTrial, nat: Handle, gone: Datagram, name: str, limit: float) -> None:
    """The flow is forgotten, and its port is free."""
    late = t.inward(gone.sent_by(t.public, gone.sport).answer(b"too late").packet())
    why = f"This flow ({name}) has been silent for more than {limit:g} s and is forgotten; yet this was {{got}}."
    t.kept_out(nat, late, why)
    heir = t.flow(TCP, sport=gone.sport, flags=SYN)
    why = f"The flow that had this port ({name}) is forgotten after {limit:g} s, so it is kept. It became {{got}}."
    t.leaves(nat, heir, gone.sport, why=why)


def _out(t: EgressTrial, nat: Handle, packet: Datagram, flags: int) -> None:
    t.leaves(nat, replace(packet, flags=flags), packet.sport)


def _in(t: EgressTrial, nat: Handle, packet: Datagram, flags: int) -> None:
    answer = packet.sent_by(t.public, packet.sport).answer(flags=flags)
    t.turns_in(nat, answer, packet, "This belongs to the pod's flow: it must go in to it. It was {got}.")


def _asks(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    _out(t, nat, packet, SYN)
    _out(t, nat, packet, SYN)


def _opens(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    _out(t, nat, packet, SYN)
    _in(t, nat, packet, SYN | ACK)
    _out(t, nat, packet, ACK)


def _meets(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    """Simultaneous open (RFC 9293, 3.5)."""
    _out(t, nat, packet, SYN)
    _in(t, nat, packet, SYN)
    _out(t, nat, packet, SYN | ACK)
    _in(t, nat, packet, SYN | ACK)
    _out(t, nat, packet, ACK)


def _half_closes(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    _opens(t, nat, packet)
    _in(t, nat, packet, FIN | ACK)
    _out(t, nat, packet, ACK)


def _closes(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    _opens(t, nat, packet)
    _in(t, nat, packet, FIN | ACK)
    _out(t, nat, packet, FIN | ACK)
    _in(t, nat, packet, ACK)


def _resets(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    _opens(t, nat, packet)
    _out(t, nat, packet, ACK)
    _in(t, nat, packet, RST | ACK)


def _gives_up(t: EgressTrial, nat: Handle, packet: Datagram) -> None:
    _opens(t, nat, packet)
    _in(t, nat, packet, ACK)
    _out(t, nat, packet, RST)


def _begins_anew(t: EgressTrial) -> None:
    """The same two ends, the same ports, another connection."""
    nat, packet = t.nat(), t.flow(TCP)
    t.transcript.note("a connection is closed, and the same ports are used for another one")
    _played(t, nat, packet, "open, and closed by both", _closes)
    t.wait(60, nat)
    _played(t, nat, packet, "open again", _opens)
    t.wait(TRANSITORY + _MARGIN, nat)
    _alive(t, nat, packet)
    _played(t, nat, packet, "half closed", _half_closes)
    t.wait(TRANSITORY + _MARGIN, nat)
    _alive(t, nat, packet)

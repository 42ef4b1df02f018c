"""What the checks of the NAT are written in: pods, servers and a node, what they send, and what must come of it."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from grader.check import Failed, Handle
from grader.checks.translation.mistakes import went
from grader.checks.translation.trial import TranslationTrial
from grader.checks.translation.wire import ECHO, Datagram
from podpath.datapath import Frames
from podpath.packets import ETH_IPV4, ICMP, TCP, UDP, ethernet

INSIDE, OUTSIDE = "inside", "outside"
DEFAULT_PORTS = range(32768, 61000)
PROTOCOLS = (TCP, UDP, ICMP)
_DOCUMENTATION = [IPv4Network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]  # RFC 5737


@dataclass
class EgressTrial(TranslationTrial):
    """A trial with a node with its address, a cluster's network, and a world outside."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cluster = self.network(10, self.random.choice([14, 15, 17, 18, 19, 20]))
        self.nodes = self.network(172, 24)
        self.node, self.gateway = (bytes([2]) + self.random.randbytes(5) for _ in range(2))
        self.public = self.address(self.nodes)
        self.ports = DEFAULT_PORTS

    # -- what takes part

    def nat(self, ports: range | None = None, exempt: Sequence[IPv4Network] | None = None) -> Handle:
        """A new NAT of the learner's. By default the nodes' network is exempt, and the ports are Linux's."""
        exempt = [self.nodes] if exempt is None else list(exempt)
        self.ports = ports or DEFAULT_PORTS
        further = [] if ports is None else [ports]
        extra: dict[str, Any] = {"exempt": exempt} if exempt else {}
        told = [str(self.public), str(self.cluster), *map(repr, further)]
        told += [f"{key}=[{', '.join(map(str, value))}]" for key, value in extra.items()]
        with self.transcript.step(f"EgressNat({', '.join(told)})"):
            made = self.subject.make([INSIDE, OUTSIDE], self.public, self.cluster, *further, **extra)
        self.transcript.note(f"t={self.now - self.start:g} s is now={self.now!r}")
        return made

    def pod(self) -> IPv4Address:
        """Another pod."""
        return self.address(self.cluster)

    def server(self) -> IPv4Address:
        """Another host outside."""
        return self.address(self.random.choice(_DOCUMENTATION))

    def taken(self, port: int | None) -> None:
        """A NAT has chosen this port."""
        if port is not None:
            self._ports_given.add(port)

    def flow(self, protocol: int, pod: IPv4Address | None = None, sport: int | None = None, **other: Any) -> Datagram:
        """The first packet of a pod to a server that nobody has spoken to."""
        server, dport = self.server(), self.random.choice([53, 80, 123, 443, self.port()])
        given = {"kind": ECHO} | other
        return self.datagram(protocol, pod or self.pod(), sport or self.port(), server, dport, **given)

    # -- what happens

    def outward(self, packet: bytes, padding: bytes = b"") -> bytes:
        """A packet as the node sends it to its gateway."""
        return ethernet(self.gateway, self.node, ETH_IPV4, packet + padding)

    def inward(self, packet: bytes, padding: bytes = b"") -> bytes:
        """A packet as the gateway sends it to the node."""
        return ethernet(self.node, self.gateway, ETH_IPV4, packet + padding)

    def leaves(
        self,
        nat: Handle,
        packet: Datagram,
        port: int | None = None,
        among: Container[int] | None = None,
        why: str = "",
    ) -> int:
        """A pod's packet goes out and must be translated: to `port`, or to any port (of `among`). Which it was.

        `why` is the message when the port is another one.
        """
        frame = self.outward(packet.packet())
        sent = self.ask(nat, INSIDE, frame)
        got = _public_port(sent, packet.protocol)
        self.taken(got)
        chosen = got if port is None or got is None else port
        wanted = self.outward(packet.sent_by(self.public, packet.sport if chosen is None else chosen).packet())
        if got is not None and ((port is not None and got != port) or (among is not None and got not in among)):
            self.transcript.wrong(f"{self.event(INSIDE, frame)}: {went(sent)}")
            raise Failed(why.format(got=got) or f"The source port became {got}, and must be {port}.")
        self.judge(INSIDE, frame, sent, [(OUTSIDE, wanted)])
        return packet.sport if chosen is None else chosen

    def returns(self, nat: Handle, packet: Datagram, pod: IPv4Address, port: int, why: str = "") -> None:
        """What comes to the public address must go in to this pod and port."""
        wanted = self.inward(packet.sent_to(pod, port).packet())
        self.turns(nat, OUTSIDE, self.inward(packet.packet()), INSIDE, wanted, why)

    def turns_in(self, nat: Handle, answer: Datagram, asked: Datagram, why: str) -> None:
        """An answer must go in to who asked. `why` is the message if it goes nowhere; else the bytes are explained."""
        frame = self.inward(answer.packet())
        wanted = self.inward(answer.sent_to(asked.source, asked.sport).packet())
        sent = self.ask(nat, OUTSIDE, frame)
        self.judge(OUTSIDE, frame, sent, [(INSIDE, wanted)], why if sent in ([], [(INSIDE, frame)]) else "")

    def kept_out(self, nat: Handle, frame: bytes, why: str) -> None:
        """A frame from outside is nothing to any pod: it is dropped, or handed to the node as it came."""
        sent = self.ask(nat, OUTSIDE, frame)
        self.judge(OUTSIDE, frame, sent, [(INSIDE, frame)] if sent == [(INSIDE, frame)] else [], why)


def _public_port(sent: Frames, protocol: int) -> int | None:
    """The source port, or identifier, of the only frame that was sent, if there is one."""
    if len(sent) != 1 or len(sent[0][1]) < 34:
        return None
    frame = sent[0][1]
    at = 14 + (frame[14] & 15) * 4 + (4 if protocol == ICMP else 0)
    return int.from_bytes(frame[at : at + 2], "big") if len(frame) >= at + 2 else None

"""What the checks of the bridge are written in: stations that send frames, and what must come out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grader.check import Failed, Handle, LearnerError, Trial
from podpath.datapath import Frames
from podpath.packets import BROADCAST, ETHERNET_HEADER, differences, ethernet, hexdump, mac_text

CAPACITY = 4096  # stations that a bridge of this lab remembers
EXPERIMENTAL = 0x88B5  # an EtherType for local experiments (IEEE 802, 9.2.4)


@dataclass
class BridgeTrial(Trial):
    """A trial in which time passes, stations have names, and ports have names nobody can foresee."""

    names: dict[bytes, str] = field(default_factory=lambda: {BROADCAST: "everyone"})

    def __post_init__(self) -> None:
        self.start = self.now = float(self.random.randrange(1000, 1_000_000))
        self.ports: list[str] = []

    # -- what takes part

    def begin_at(self, now: float) -> None:
        """Start the clock at another time than a random one. Before anything happens."""
        self.start = self.now = now

    def bridge(
        self, ports: int | None = None, ageing: float | None = None, names: Sequence[str] | None = None
    ) -> Handle:
        """A new bridge of the learner's; its ports' names are in `self.ports`: `names`, or others nobody can foresee."""
        self.ports = list(names or self._port_names(ports or self.random.randrange(4, 8)))
        extra = {} if ageing is None else {"ageing": ageing}
        shown = "".join(f", {name}={value:g}" for name, value in extra.items())
        with self.transcript.step(f"LearningBridge([{', '.join(map(repr, self.ports))}]{shown})"):
            made = self.subject.make(self.ports, list(self.ports), **extra)
        self.transcript.note(f"t={self.now - self.start:g} s is now={self.now!r}")
        return made

    def _port_names(self, count: int) -> list[str]:
        stem = self.random.choice(["veth", "port", "lan", "to", "eth", "p", "if-"])
        return [f"{stem}{number}" for number in self.random.sample(range(100), count)]

    def pick(self, count: int) -> list[str]:
        """Some of the ports, each once, in random order."""
        return self.random.sample(self.ports, count)

    def station(self, name: str, address: bytes | None = None) -> bytes:
        """The address of a station that has a name from now on; by default a plain unicast one."""
        if address is None:
            address = bytes([self.random.randrange(1, 64) * 4]) + self.random.randbytes(4) + bytes([self._even()])
        self.names[address] = name
        self.transcript.note(f"{name} is {mac_text(address)}")
        return address

    def _even(self) -> int:
        return self.random.randrange(0, 256, 2)

    def frame(self, source: bytes, destination: bytes, payload: bytes | None = None) -> bytes:
        """A frame between two stations, with a random payload of any length."""
        if payload is None:
            payload = self.random.randbytes(self.random.choice([46, 46, 100, 1000, 1500]))
        return ethernet(destination, source, EXPERIMENTAL, payload)

    # -- what happens

    def wait(self, seconds: float, *bridges: Handle) -> None:
        """Time passes, with its ticks."""
        end = self.now + seconds
        with self.transcript.step(f"{seconds:g} s pass"):
            for bridge in bridges:
                if sent := bridge.ticks(self.now, end):
                    raise Failed(
                        f"tick() sent {_ports(sent)}: a learning bridge has nothing to say of its own accord."
                    )
        self.now = end

    def arrive(self, bridge: Handle, port: str, frame: bytes, expected: Iterable[str], why: str = "") -> None:
        """A frame arrives; exactly the `expected` ports must send it, unchanged, in any order.

        `why` is the message when others do; `{got}` in it stands for these. Without it the usual mistakes are named.
        """
        self._judge(port, frame, sorted(expected), self._ask(bridge, port, frame), why)

    def _ask(self, bridge: Handle, port: str, frame: bytes) -> Frames:
        try:
            return bridge.receive(port, frame, self.now)
        except LearnerError:
            self.transcript.wrong(f"{self._event(port, frame)}: your code failed")
            raise

    def flood(self, bridge: Handle, port: str, frame: bytes, why: str = "") -> None:
        """A frame arrives, and every port but its own must send it."""
        self.arrive(bridge, port, frame, [p for p in self.ports if p != port], why)

    def reach(self, bridge: Handle, port: str, frame: bytes, destination: str) -> None:
        """A frame arrives; `destination` must be among the ports that send it, unchanged. Others may, for now."""
        sent = self._ask(bridge, port, frame)
        if sent and destination not in [p for p, _ in sent]:
            self.transcript.wrong(
                f"{self._event(port, frame)}: must leave by {destination} at least, was {_ports(sent)}"
            )
            raise Failed(
                f"{self.name(frame[:6])} has spoken on {destination}, but a frame to it did not leave there."
            )
        others = [p for p, _ in sent if p not in (port, destination)]
        self._judge(port, frame, sorted({destination, *others}), sent, "")

    def whatever(self, bridge: Handle, port: str, frame: bytes) -> None:
        """A frame arrives, and what becomes of it is left to the bridge."""
        self._ask(bridge, port, frame)
        self.transcript.say(f"{self._event(port, frame)}: forwarded or not, either will do")

    def arrive_all(
        self, bridge: Handle, arriving: list[tuple[str, bytes, list[str]]], what: str, why: str = ""
    ) -> None:
        """Many frames arrive at once: port, frame, and which ports must send it. `what` they are, in words."""
        with self.transcript.step(f"{self._clock()}{what}"):
            answers = bridge.receive_all([(port, frame, self.now) for port, frame, _ in arriving])
            for (port, frame, expected), sent in zip(arriving, answers, strict=True):
                wanted = sorted(expected)
                if sorted(sent) != [(p, frame) for p in wanted]:
                    self._judge(port, frame, wanted, sent, why)

    # -- what is said about it

    def _judge(self, port: str, frame: bytes, wanted: list[str], sent: Frames, why: str) -> None:
        got = sorted(p for p, _ in sent)
        changed = [(p, f) for p, f in sent if f != frame]
        if got == wanted and not changed:
            self.transcript.say(f"{self._event(port, frame)}: {_out(wanted)}")
            return
        verdict = (
            "out of the right ports, but changed" if got == wanted else f"must be {_out(wanted)}, was {_out(got)}"
        )
        self.transcript.wrong(f"{self._event(port, frame)}: {verdict}")
        if changed:
            raise Failed(self._changed(frame, *changed[0]))
        if why:
            raise Failed(why.format(got=", ".join(got) or "no port", compare=_comparison(wanted, got)))
        raise Failed(self._usual_mistake(port, frame, wanted, got))

    def _changed(self, frame: bytes, port: str, sent: bytes) -> str:
        self.transcript.note(f"what arrived:\n{hexdump(frame[:64])}")
        places = [i for i, byte in enumerate(sent) if i >= len(frame) or byte != frame[i]]
        self.transcript.note(f"what was sent out of {port}:\n{hexdump(sent[:64], places) or '(0 bytes)'}")
        told = "; ".join(differences(frame, sent)) or "its bytes"
        habit = " (the IPv4 time to live)" if frame[12:14] == b"\x08\x00" and 22 in places else ""
        return (
            f"The bridge changed the frame: {told}{habit}. A bridge forwards the frame unchanged, every byte of it."
        )

    def _usual_mistake(self, port: str, frame: bytes, wanted: list[str], got: list[str]) -> str:
        missing = [p for p in wanted if p not in got]
        if port in got:
            return f"The frame came back to the sender on {port}. Never send a frame out of the port it arrived on."
        if len(set(got)) < len(got):
            return f"The same frame was sent more than once out of one port: {_out(got)}."
        if wanted and not got and len(frame) == ETHERNET_HEADER:
            return "The frame was dropped. 14 bytes are a whole header: such a frame is forwarded as any other."
        if wanted and not got:
            return f"The frame was dropped. A frame {self._to(frame)} goes out of every other port."
        if missing:
            return (
                f"The frame reached {len(got)} of {len(wanted)} ports; {', '.join(missing)} went without. A frame "
                f"{self._to(frame)} goes out of every other port."
            )
        if len(wanted) == 1:
            return (
                f"{self.name(frame[:6])} has spoken on {wanted[0]}, but a frame to it was {_out(got)}. Send it out of "
                f"{wanted[0]}, and of no other port."
            )
        return f"The frame was {_out(got)}, but must be {_out(wanted)}."

    def _to(self, frame: bytes) -> str:
        kind = "to a group address" if frame[0] & 1 else "to a station that has not spoken"
        return f"{kind} ({self.name(frame[:6])})"

    def name(self, address: bytes) -> str:
        """What a station is called."""
        return self.names.get(address, mac_text(address))

    def _event(self, port: str, frame: bytes) -> str:
        if len(frame) < 14:
            return f"{self._clock()}{len(frame)} bytes ({frame.hex(' ') or 'none'}) arrive on {port}"
        between = f"{self.name(frame[6:12])} -> {self.name(frame[:6])}"
        return f"{self._clock()}{between}, {len(frame)} bytes, arrives on {port}"

    def _clock(self) -> str:
        return f"t={self.now - self.start:g} s  "


def _comparison(wanted: list[str], got: list[str]) -> str:
    """What it was like: a hub, which sends to all, or a bridge that has learned something wrong."""
    if set(wanted) < set(got):
        return (
            "A hub sends every frame everywhere; a bridge sends frames to a station that has spoken to its port, and to "
            "no other."
        )
    return "Learn from the source, frame[6:12], and look up the destination, frame[0:6]."


def _ports(sent: Frames) -> str:
    return _out(sorted({p for p, _ in sent}))


def _out(ports: list[str]) -> str:
    return f"out of {', '.join(ports)}" if ports else "dropped"

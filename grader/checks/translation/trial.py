"""What the checks are written in of labs in which packets are translated: addresses, packets, time, and what must come."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from grader.check import Failed, Handle, LearnerError, Transcript, Trial
from grader.checks.translation.mistakes import OTHER, explained, marked, shown, went
from grader.checks.translation.wire import ACK, Datagram
from podpath.datapath import Frames


@dataclass
class TranslationTrial(Trial):
    """A trial in which time passes, and whose addresses and ports are each given once."""

    def __post_init__(self) -> None:
        self.start = self.now = float(self.random.randrange(1000, 1_000_000))
        self._given: set[IPv4Address] = set()
        self._ports_given: set[int] = set()

    # -- what takes part

    def network(self, first: int, length: int) -> IPv4Network:
        """A random network of that length; of 172, a private one."""
        second = self.random.randrange(16, 32) if first == 172 else self.random.randrange(1, 255)
        address = bytes([first, second]) + self.random.randbytes(2)
        return IPv4Network((address, length), strict=False)

    def address(self, network: IPv4Network) -> IPv4Address:
        """An address of a network that nobody has been given yet."""
        while True:
            found = network[self.random.randrange(1, network.num_addresses - 1)]
            if found not in self._given:
                self._given.add(found)
                return found

    def port(self) -> int:
        """A port that a program may have, each once: no flow is in another's way by chance."""
        while True:
            found = self.random.randrange(1024, 65536)
            if found not in self._ports_given:
                self._ports_given.add(found)
                return found

    def datagram(
        self,
        protocol: int,
        source: IPv4Address,
        sport: int,
        destination: IPv4Address,
        dport: int,
        flags: int = ACK,
        **other: Any,
    ) -> Datagram:
        """A packet with a random payload. For an echo, whose other end has no port, `dport` stands for nothing."""
        fresh: dict[str, Any] = {
            "payload": self.random.randbytes(self.random.randrange(60)),
            "numbers": (self.random.getrandbits(32), self.random.getrandbits(32)),
            "ident": self.random.getrandbits(16),
            "ttl": self.random.randrange(2, 255),
        }
        return Datagram(protocol, source, sport, destination, dport, flags=flags, **(fresh | other))

    # -- what happens

    def wait(self, seconds: float, *datapaths: Handle) -> None:
        """Time passes, with its ticks."""
        with self.transcript.step(f"{self.clock()}{seconds:g} s pass"):
            for datapath in datapaths:
                at, end = self.now, self.now + seconds
                while at < end:  # in pieces: one call of many ticks may take no longer than any other
                    following = min(at + 300, end)
                    if sent := datapath.ticks(at, following):
                        raise Failed(f"tick() sent {went(sent)}: it has nothing to say of its own accord.")
                    at = following
        self.now += seconds

    @contextlib.contextmanager
    def as_one(self, text: str) -> Iterator[None]:
        """Steps that take one line together if all of them go well."""
        before, self.transcript = self.transcript, Transcript()
        try:
            yield
        except (Failed, LearnerError):
            before.note(text)
            before.lines += self.transcript.lines
            before.went_wrong = True
            raise
        else:
            before.say(text)
        finally:
            self.transcript = before

    def passes(self, datapath: Handle, port: str, frame: bytes, why: str = "") -> None:
        """A frame goes through untouched."""
        self.turns(datapath, port, frame, OTHER[port], frame, why)

    def turns(self, datapath: Handle, port: str, frame: bytes, to: str, wanted: bytes, why: str = "") -> None:
        """A frame arrives, and must leave by `to` as `wanted`."""
        self.judge(port, frame, self.ask(datapath, port, frame), [(to, wanted)], why)

    def stopped(self, datapath: Handle, port: str, frame: bytes, why: str) -> None:
        """A frame is dropped."""
        self.judge(port, frame, self.ask(datapath, port, frame), [], why)

    def ask(self, datapath: Handle, port: str, frame: bytes) -> Frames:
        """What is sent for a frame."""
        try:
            return datapath.receive(port, frame, self.now)
        except LearnerError:
            self.transcript.wrong(f"{self.event(port, frame)}: your code failed")
            raise

    def judge(self, port: str, frame: bytes, sent: Frames, wanted: Frames, why: str = "") -> None:
        """Whether exactly what was wanted was sent. `why` is the message if not; without it, the bytes are explained."""
        if sent == wanted:
            same = bool(wanted) and wanted[0][1] == frame
            became = "passes untouched" if same else went(sent)
            self.transcript.say(f"{self.event(port, frame)}: {became}")
            return
        self.transcript.wrong(f"{self.event(port, frame)}: {went(sent)}")
        if len(wanted) == 1:
            self.transcript.note(f"must be {went(wanted)}")
            if [to for to, _ in sent] == [to for to, _ in wanted]:
                self.transcript.note(f"what was sent:\n{marked(wanted[0][1], sent[0][1])}")
        raise Failed(why.format(got=went(sent)) if why else explained(frame, wanted, sent))

    def event(self, port: str, frame: bytes) -> str:
        """What arrives, in words."""
        return f"{self.clock()}{shown(frame)} arrives from {port}"

    def clock(self) -> str:
        """The time, as a transcript says it."""
        return f"t={self.now - self.start:g} s  "

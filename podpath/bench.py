"""A test bench: in-memory wires and a virtual clock.

The same object that runs on live interfaces runs here, in milliseconds, without privileges, and always in the same
way: time is a number that only `wait` moves, and `bench.random` is seeded. Pure.
"""

import random
from dataclasses import dataclass, field

from podpath.datapath import TICK, Datapath, Frames, plain_frames, tick, told


@dataclass
class Bench:
    """A datapath on the bench.

    `start` is the time at which the clock starts, in seconds. `journal` keeps what happened, in words.

    >>> class Hub:
    ...     def receive(self, port, frame, now):
    ...         return [(other, frame) for other in ("left", "right") if other != port]
    >>> bench = Bench(Hub())
    >>> bench.send("left", bytes(14))
    [('right', b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00')]
    """

    datapath: Datapath
    seed: int = 0
    start: float = 0.0
    journal: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.start
        self.random = random.Random(self.seed)

    def send(self, port: str, frame: bytes) -> Frames:
        """Let `frame` arrive on `port` now; what the datapath sends in return."""
        self._note(f"{port} <- {told(port, frame)}")
        return self._sent(self.datapath.receive(port, frame, self.now))

    def wait(self, seconds: float) -> Frames:
        """Let time pass, with a tick at least every 0.1 s; what the datapath sends meanwhile."""
        sent: Frames = []
        self._note(f"{seconds:g} s pass")
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + TICK, end)
            sent += self._sent(tick(self.datapath, self.now))
        return sent

    def _sent(self, result: object) -> Frames:
        frames = plain_frames(result)
        for port, frame in frames:
            self._note(f"{port} -> {told(port, frame)}")
        return frames

    def _note(self, text: str) -> None:
        self.journal.append(f"t={self.now - self.start:.1f}  {text}")

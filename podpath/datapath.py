"""What a datapath is, and how several of them make one.

A datapath is a box with named ports that does no I/O. It is handed one frame and says which frames to send; it has no
sockets, no threads and no clock of its own. Everything that runs one (the bench in virtual time, `live` on real
interfaces, the jail of the grader) knows only what this file says. Pure: nothing here does I/O either.
"""

from collections import deque
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol, runtime_checkable

from podpath.layers import describe, describe_packet

Frames = list[tuple[str, bytes]]  # (port, frame) to transmit, in order

UNDERLAY = "underlay"  # the one port that is not Ethernet's: whole IPv4 packets pass there, without a header before
TICK = 0.1  # seconds: a datapath that has `tick` is called at least this often


@runtime_checkable
class Datapath(Protocol):
    """The contract. `tick(now) -> Frames` may stand beside `receive`; a datapath without timers leaves it out."""

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        """Take one frame that arrived on `port` at `now` (seconds, monotonic) and return what to send.

        It never raises because of what comes from the wire: a malformed frame is dropped.
        """
        ...


def tick(datapath: Any, now: float) -> Frames:
    """Let a datapath's timers run, if it has any."""
    method = getattr(datapath, "tick", None)
    return [] if method is None else method(now) or []


def told(port: str, data: bytes) -> str:
    """One line that tells a person what passed a port."""
    return describe_packet(data) if port == UNDERLAY else describe(data)


class Stuck(BaseException):
    """Thrown into a datapath that does not return. Not an Exception, so that `except Exception` does not stop it."""


def no_receive(datapath: Any) -> str:
    """What is said of something that is no datapath, because it has no `receive`."""
    return no_method(datapath, "receive", "(self, port, frame, now)")


def no_method(made: Any, name: str, arguments: str = "") -> str:
    """What is said of an object that lacks a method."""
    close = get_close_matches(name, [known for known in dir(made) if not known.startswith("__")], 1)
    hint = f"; it has {close[0]}" if close else ""
    return f"the class has no method {name}{arguments}{hint}"


def never_returned(call: str, seconds: float) -> str:
    """What is said of a call that was stopped."""
    return f"{call} was still running after {seconds:g} s, and was stopped. Is there a loop that never ends?"


class NotFrames(TypeError):
    """A datapath returned something that is not a list of (port, frame)."""


def plain_frames(result: object) -> Frames:
    """`result` as Frames of exact types; NotFrames, in words for a beginner, if it is none.

    Lists and tuples are both taken, and any bytes-like frame: what matters is what would be sent.
    """
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], str):
        raise NotFrames("it returned one pair (port, frame), and not a list of pairs: [(port, frame)]")
    if not isinstance(result, list | tuple):
        raise NotFrames(
            f"it returned {_shown(result)}; it must return a list of (port, frame) pairs, "
            "and [] when nothing is to be sent"
        )
    frames = []
    for item in result:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise NotFrames(f"its list holds {_shown(item)}; each item must be a pair (port, frame)")
        port, frame = item
        if not isinstance(port, str):
            raise NotFrames(f"its list names the port {_shown(port)}; a port is a string, as in the list of ports")
        if not isinstance(frame, bytes | bytearray | memoryview):
            raise NotFrames(f"its list holds the frame {_shown(frame)} for port {port!r}; a frame is bytes")
        frames.append((str(port), bytes(frame)))
    return frames


def _shown(value: object) -> str:
    if value is None:
        return "None"
    try:
        text = repr(value)
    except Exception:
        text = "something that has no repr()"
    kind = type(value).__name__
    return f"{text[:80]}{'...' if len(text) > 80 else ''} ({'an' if kind[:1] in 'aeiou' else 'a'} {kind})"


class Storm(RuntimeError):
    """Frames went round and round in a network with a loop."""


class Joined:
    """Several datapaths, wired together, as one: its ports are those that no wire takes.

    `members` are named datapaths with their ports; a port of the whole is called `member.port`. `wires` connect one
    port to another. A frame that is still travelling after `hops` steps raises Storm: there is a loop (BR-40).
    """

    def __init__(
        self, members: Mapping[str, Datapath], wires: Mapping[str, str] | None = None, hops: int = 1000
    ) -> None:
        self.members = dict(members)
        self.hops = hops
        self._peer = dict(wires or {})
        self._peer |= {b: a for a, b in self._peer.items()}

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        return self._carry([(port, frame)], now)

    def tick(self, now: float) -> Frames:
        outside: Frames = []
        for name, member in self.members.items():
            inward: Frames = []
            self._sort(name, tick(member, now), inward, outside)
            outside += self._carry(inward, now)
        return outside

    def _carry(self, arriving: Frames, now: float) -> Frames:
        todo, outside = deque(arriving), Frames()
        for _ in range(self.hops):
            if not todo:
                return outside
            port, frame = todo.popleft()
            name, _, inner = port.partition(".")
            inward: Frames = []
            self._sort(name, self.members[name].receive(inner, frame, now), inward, outside)
            todo.extend(inward)
        raise Storm(f"after {self.hops} hops frames are still going round: these datapaths are wired in a loop")

    def _sort(self, name: str, sent: Frames, inward: Frames, outside: Frames) -> None:
        for port, frame in sent:
            end = f"{name}.{port}"
            if end in self._peer:
                inward.append((self._peer[end], frame))
            else:
                outside.append((end, frame))

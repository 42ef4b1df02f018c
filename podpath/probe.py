"""Who reaches whom: ICMP echo between many hosts at once, from one process.

Converge, then assert: the first packets through a network that has just come up may be lost (ARP, a bridge port that
is not forwarding yet), so an echo is sent again and again until it is answered or the deadline has passed. Nothing
here judges by one lost packet, and nothing sleeps.
"""

import itertools
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from podpath import netns
from podpath.packets import icmp_echo

AGAIN = 0.1  # seconds until an unanswered echo is sent once more
# Linux keeps at most 1,024 neighbours (gc_thresh3) for all namespaces of a machine together, and a sandbox may not
# raise that. Each pair costs up to two at each end.
_PAIRS_AT_ONCE = 240


class Target(Protocol):
    """A host that can be asked and can ask: its name, its address, its namespace."""

    name: str

    @property
    def ip(self) -> str: ...

    @property
    def netns(self) -> Path: ...


Pair = tuple[Target, Target]


@dataclass(frozen=True)
class Echo:
    """What came of asking: `seconds` from the echo that was answered to its answer, None if none was."""

    source: str
    destination: str
    seconds: float | None
    sent: int

    def __bool__(self) -> bool:
        return self.seconds is not None

    def __str__(self) -> str:
        route = f"{self.source} -> {self.destination}"
        if self.seconds is None:
            return f"{route}: no answer to {self.sent} echo requests"
        return f"{route}: answered in {self.seconds * 1000:.2f} ms"

    __repr__ = __str__


class Reachability:
    """A matrix: from each host (row) to each other (column), whether its echo was answered."""

    def __init__(self, names: Sequence[str], echoes: Iterable[Echo]) -> None:
        self.names = list(names)
        self.echoes = {(echo.source, echo.destination): echo for echo in echoes}

    @property
    def missing(self) -> list[tuple[str, str]]:
        """The pairs of which the first does not reach the second."""
        return [pair for pair, echo in self.echoes.items() if not echo]

    @property
    def all(self) -> bool:
        """Whether everyone reaches everyone."""
        return not self.missing

    def __bool__(self) -> bool:
        return self.all

    def mark(self, source: str, destination: str) -> str:
        """ "yes", "no", or "" for a host and itself, and for a pair that was not asked."""
        echo = self.echoes.get((source, destination))
        return "" if echo is None else "yes" if echo else "no"

    def __str__(self) -> str:
        width = max(map(len, [*self.names, "from \\ to"]))
        lines = [" ".join([f"{'from / to':{width}}", *(f"{name:>{width}}" for name in self.names)])]
        for source in self.names:
            marks = (f"{self.mark(source, destination) or '-':>{width}}" for destination in self.names)
            lines.append(" ".join([f"{source:{width}}", *marks]))
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, ax: Any = None) -> Any:
        """Draw it with matplotlib; the axes."""
        from podpath import draw

        return draw.reachability(self, ax)


def echo(pairs: Iterable[Pair], deadline: float) -> list[Echo]:
    """Ask over every pair, again and again until it is answered or `deadline` seconds have passed.

    The answers come in the order of the pairs.
    """
    results: list[Echo] = []
    groups = iter(pairs)
    while group := list(itertools.islice(groups, _PAIRS_AT_ONCE)):
        if len(results) >= _PAIRS_AT_ONCE:
            _forget_neighbours(group)
        results += _echo_group(group, deadline)
    return results


def _forget_neighbours(pairs: list[Pair]) -> None:
    names = sorted({host.netns.name for pair in pairs for host in pair})
    running = [
        subprocess.Popen(["ip", "-n", name, "neigh", "flush", "all"], stderr=subprocess.DEVNULL) for name in names
    ]
    for process in running:
        process.wait()


@dataclass
class _Asked:
    """One pair under way."""

    pair: Pair
    sent: int = 0
    took: float | None = None


def _echo_group(pairs: list[Pair], deadline: float) -> list[Echo]:
    asked = {number: _Asked(pair) for number, pair in enumerate(pairs, start=1)}
    ident = time.monotonic_ns() & 0xFFFF  # tells our answers from those to somebody else's ping
    with ExitStack() as stack:
        sockets: dict[str, socket.socket] = {}
        for source, _ in pairs:
            if source.name not in sockets:
                with netns.inside(source.netns):
                    sockets[source.name] = stack.enter_context(netns.echo_socket())
        until = time.monotonic() + deadline
        while (now := time.monotonic()) < until and (waiting := [a for a in asked.values() if a.took is None]):
            for number, one in asked.items():
                if one.took is None:
                    _ask(sockets[one.pair[0].name], one, ident, number)
            for sequence, when in _answers(list(sockets.values()), ident, min(now + AGAIN, until), len(waiting)):
                if (answered := asked.get(sequence)) and answered.took is None:
                    answered.took = time.monotonic() - when
    return [Echo(a.pair[0].name, a.pair[1].name, a.took, a.sent) for a in asked.values()]


def _ask(sender: socket.socket, one: _Asked, ident: int, sequence: int) -> None:
    one.sent += 1
    now = struct.pack("!d", time.monotonic())  # it comes back in the answer, and says which request that is to
    with suppress(OSError):  # no route, no neighbour, no buffer: this try counts as lost
        sender.sendto(icmp_echo(8, ident, sequence, now), (one.pair[1].ip, 0))


def _answers(sockets: list[socket.socket], ident: int, until: float, expected: int) -> Iterator[tuple[int, float]]:
    """The sequence numbers of answers, and when their requests were sent, that arrive before `until`, which ends early when all have."""
    while expected and (left := until - time.monotonic()) > 0:
        for ready in select.select(sockets, [], [], left)[0]:
            packet = ready.recv(2048)
            offset = (packet[0] & 15) * 4
            if len(packet) != offset + 16:
                continue
            theirs, sequence, when = struct.unpack_from("!HHd", packet, offset + 4)
            if theirs == ident:
                expected -= 1
                yield sequence, when

"""Who reaches whom: ICMP echo between many hosts at once, from one process.

Converge, then assert: the first packets through a network that has just come up may be lost (ARP, a bridge port that
is not forwarding yet), so an echo is sent again and again until it is answered or the deadline has passed. Nothing
here judges by one lost packet, and nothing sleeps.
"""

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

AGAIN = 0.1  # seconds until an unanswered echo is sent once more; then twice as long each time, up to
AT_LAST = 0.8  # or a slow network would drown in what it is asked
# Linux keeps at most 1,024 neighbours (gc_thresh3) for all namespaces of a machine together, and a sandbox may not
# raise that. Each pair costs up to two at each end.
_PAIRS_AT_ONCE = 240
_FAR_AT_ONCE = 4000  # sequence numbers have 16 bits, and sockets some room


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
    wanted = list(pairs)
    results: dict[int, Echo] = {}
    many = sum(map(_on_link, wanted)) > _PAIRS_AT_ONCE
    for numbers in _groups(wanted):
        group = [wanted[number] for number in numbers]
        results |= zip(numbers, _echo_group(group, deadline), strict=True)
        if many and _on_link(group[0]):
            _forget_neighbours(group)  # to leave room for those of the next group, and of whoever asks next
    return [results[number] for number in range(len(wanted))]


def _on_link(pair: Pair) -> bool:
    """Whether two hosts are in one subnet, and so need an entry each in the other's neighbour table."""
    source, destination = (host.ip.rpartition(".")[0] for host in pair)
    return source == destination


def _groups(pairs: list[Pair]) -> Iterator[list[int]]:
    """The numbers of the pairs, in groups that can be asked at once.

    Pairs of different subnets need their gateways' neighbour entries only. Of the others, those of one subnet and
    source come together: fewer hosts then have to forget their neighbours.
    """
    far = [number for number, pair in enumerate(pairs) if not _on_link(pair)]
    near = sorted(set(range(len(pairs))) - set(far), key=lambda number: (pairs[number][0].ip, number))
    for numbers, at_once in ((far, _FAR_AT_ONCE), (near, _PAIRS_AT_ONCE)):
        for start in range(0, len(numbers), at_once):
            yield numbers[start : start + at_once]


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
        until, again = time.monotonic() + deadline, AGAIN
        while (now := time.monotonic()) < until and (waiting := [a for a in asked.values() if a.took is None]):
            for number, one in asked.items():
                if one.took is None:
                    _ask(sockets[one.pair[0].name], one, ident, number)
            for sequence, when in _answers(list(sockets.values()), ident, min(now + again, until), len(waiting)):
                if (answered := asked.get(sequence)) and answered.took is None:
                    answered.took = time.monotonic() - when
            again = min(2 * again, AT_LAST)
    return [Echo(a.pair[0].name, a.pair[1].name, a.took, a.sent) for a in asked.values()]


def _ask(sender: socket.socket, one: _Asked, ident: int, sequence: int) -> None:
    one.sent += 1
    now = struct.pack("!d", time.monotonic())  # it comes back in the answer, and says which request that is to
    with suppress(OSError):  # no route, no neighbour, no buffer: this try counts as lost
        sender.sendto(icmp_echo(8, ident, sequence, now), (one.pair[1].ip, 0))


def _answers(sockets: list[socket.socket], ident: int, until: float, expected: int) -> Iterator[tuple[int, float]]:
    """The answers that arrive before `until`, which ends early when all have: sequence number, and when it was asked."""
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

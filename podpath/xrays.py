"""X-ray: see one packet on every interface that it crosses.

`xray(cluster, "ping -c 1 10.244.2.3", source=pod)` captures on every interface of every host while the command runs,
finds the conversation that it began, and follows each packet of it from hop to hop: where it was seen and when, what
each hop changed, and where it died, if it did.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from podpath.capture import Capture
from podpath.cluster import Cluster
from podpath.conntrack import translations
from podpath.conversation import Conversation, Flow, converse
from podpath.host import Host
from podpath.journey import Captured, packets
from podpath.packets import describe
from podpath.path import Place
from podpath.pcapng import pcapng
from podpath.trace import Change, Died, Journey

_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


@dataclass(frozen=True)
class Row:
    """One sighting of one packet. `time` is in seconds since the first sighting of all."""

    packet: int
    time: float
    host: str
    interface: str
    direction: str
    summary: str
    changes: str


class Xray:
    """What became of a conversation. Runs while its `with` block does; `xray` makes it, and may run a command."""

    def __init__(self, cluster: Cluster, source: Host | None = None, target: IPv4Address | None = None) -> None:
        self.cluster = cluster
        self.output = ""  # what the command printed
        self.conversation = Conversation(None, None, [], None)
        self.frames: list[Captured] = []
        self.lost = 0
        self._source, self._target = source, target
        self._capture = Capture(list(cluster.hosts.values()))

    def __enter__(self) -> Self:
        self._capture.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.__exit__()
        self.frames, self.lost = self._capture.frames, self._capture.lost
        found = packets(self.frames)
        source = self._source.name if self._source else next((p.first.place.host for p in found if p.addresses()), "")
        if source:
            self.conversation = converse(found, self.cluster.plan, source, self._target, self._translations())

    def _translations(self) -> dict[Flow, IPv4Address]:
        """What the kernels' connection tracking, and the datapaths that say so, made of flows' destinations."""
        told: dict[Flow, IPv4Address] = {}
        for node in self.cluster.nodes:
            told |= translations(node)
        for attached in self.cluster.attached:
            report = getattr(attached, "translations", None)
            if callable(report):
                told |= report()
        return told

    # -- what checks and hints ask

    @property
    def journeys(self) -> list[Journey]:
        """The packets of the conversation, each with its way."""
        return self.conversation.journeys

    @property
    def path(self) -> list[Place]:
        """Where the request was seen, in order; where there was none, the first packet that was sent for it."""
        return self.journeys[0].path if self.journeys else []

    @property
    def changes(self) -> list[tuple[Place, Change]]:
        """What changed on the request's way, and where that was seen first."""
        if not self.journeys:
            return []
        first = self.journeys[0]
        return [(place, one) for place, told in zip(first.path, first.changes, strict=True) for one in told]

    @property
    def died_at(self) -> Died | None:
        """Where the conversation failed, and how; None if it did not."""
        return self.conversation.died

    # -- for people

    def rows(self) -> list[Row]:
        """Every sighting of the conversation's packets, packet by packet."""
        start = min((journey.way[0].time for journey in self.journeys), default=0.0)
        return [
            Row(
                number,
                seen.time - start,
                seen.place.host,
                seen.place.interface,
                "out" if seen.place.outgoing else "in",
                describe(seen.frame),
                "; ".join(map(str, told)),
            )
            for number, journey in enumerate(self.journeys, start=1)
            for seen, told in zip(journey.way, journey.changes, strict=True)
        ]

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame, where pandas is installed."""
        import pandas

        return pandas.DataFrame(self.rows())

    def __str__(self) -> str:
        lines, packet = [], 0
        for row in self.rows():
            if row.packet != packet:
                packet = row.packet
                lines.append(row.summary)
            arrow = "->" if row.direction == "out" else "<-"
            place = f"{row.host} {row.interface} {arrow}"
            lines.append(f"  {row.time * 1e6:8.0f} us  {place:24}{row.changes}".rstrip())
        died = self.died_at
        lines.append(f"It failed: {died.why}." if died else "Nothing was lost." if lines else "Nothing was seen.")
        if self.lost:
            lines.append(f"The capture itself lost {self.lost} frames.")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, ax: Any = None) -> Any:
        """Draw it with matplotlib; the axes."""
        from podpath.draw.journey import journeys

        return journeys(self.journeys, self.died_at, ax)

    def save(self, path: str | Path, everything: bool = False) -> None:
        """Write the conversation, or everything that was captured, as a file for Wireshark (pcapng)."""
        chosen: Sequence[Captured] = self.frames
        if not everything:
            chosen = sorted((seen for one in self.journeys for seen in one.way), key=lambda seen: seen.time)
        Path(path).write_bytes(pcapng(chosen))


def xray(cluster: Cluster, command: str | None = None, source: Host | None = None) -> Xray:
    """X-ray a command on a host, or, without one, whatever happens in the `with` block.

    The conversation is the first one that `source` begins; where the command names an address, with that address.

    >>> x = xray(cluster, "ping -c 1 10.244.2.3", source=cluster.pods[0])                  # doctest: +SKIP
    >>> with xray(cluster) as x:                                                           # doctest: +SKIP
    ...     cluster.ping(cluster.pods[0], cluster.pods[1])
    """
    if command is None:
        return Xray(cluster, source)
    if source is None:
        raise ValueError("xray needs to know where to run the command: source=cluster.pods[0], for one")
    named = [address for address in map(_address, _ADDRESS.findall(command)) if address is not None]
    with Xray(cluster, source, named[0] if named else None) as made:
        made.output = str(source.cmd(command))
    return made


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None

"""Tables that live in a network, as plain dicts, and how they change over time."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from podpath import netns
from podpath.conntrack import connections, words
from podpath.host import Host
from podpath.topology import BRIDGE

_EVERY = 0.02  # seconds from one look at a table to the next


def mac_table(node: Host, bridge: str = BRIDGE) -> dict[str, str]:
    """What the kernel's bridge on a node has learned: the port of each MAC address. RuntimeError if there is none."""
    with netns.inside(node.netns):
        done = subprocess.run(["bridge", "-json", "fdb", "show", "br", bridge], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{node.name} has no bridge {bridge} to be asked: {done.stderr.strip()}")
    entries = json.loads(done.stdout or "[]")
    if not entries:  # a bridge has its own address in its table, at least
        raise RuntimeError(f"{node.name} has no bridge {bridge} to be asked: {bridge} is something else there")
    learned = [one for one in entries if one.get("state") != "permanent"]
    return {one["mac"]: one["ifname"] for one in learned if "self" not in one.get("flags", [])}


def connection_table(host: Host) -> dict[str, str]:
    """The connections that a host's kernel tracks: for each from where to where answers are expected, and its state."""
    return {
        words(one.original): f"answers {words(one.reply, False)} {one.state}".strip() for one in connections(host)
    }


@dataclass
class Span:
    """That `key` had `value` from `start` to `end`, in seconds since the history began. None: it still has."""

    key: str
    value: str
    start: float
    end: float | None = None


class History:
    """What became of a table while the `with` block ran: `spans`, in the order in which they began.

    `read` gives the table, as any mapping; it is asked every 20 ms. Keys and values are told as text.

    >>> with History(lambda: mac_table(node)) as history:                                    # doctest: +SKIP
    ...     cluster.ping(*cluster.pods[:2])
    >>> history.plot()                                                                       # doctest: +SKIP
    """

    def __init__(self, read: Callable[[], Mapping[Any, Any]]) -> None:
        self.spans: list[Span] = []
        self.seconds = 0.0  # how long it ran
        self._read = read
        self._done = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if self._error is None:
            self._look()
        self.seconds = time.monotonic() - self._begun
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._done.wait(_EVERY):
                self._look()
        except Exception as error:  # told where the block ends
            self._error = error

    def _look(self) -> None:
        now = time.monotonic() - self._begun
        table = {_text(key): _text(value) for key, value in dict(self._read()).items()}
        for span in self.spans:
            if span.end is None and table.get(span.key) != span.value:
                span.end = now
        known = {span.key for span in self.spans if span.end is None}
        self.spans += [Span(key, value, now) for key, value in table.items() if key not in known]

    def plot(self, ax: Any = None) -> Any:
        """Draw it with matplotlib; the axes."""
        from podpath.draw.table import table

        return table(self, ax)


def _text(value: object) -> str:
    """MAC addresses as they are written; of a learner's pair (port, time), the port."""
    if isinstance(value, tuple) and value:
        return _text(value[0])
    return value.hex(":") if isinstance(value, bytes) else str(value)

"""Run a datapath on live interfaces: real kernels talk through it.

`attach` opens a packet socket on each port of a node and starts a thread that hands every frame to the datapath and
sends what it returns. The object stays in this process, so it can be looked at while packets cross it.

The thread survives what learners write. An exception costs the frame that caused it, and is shown with the frame in
words. A call that does not come back is interrupted after a while, and the datapath is then left alone.
"""

import ctypes
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from podpath import netns
from podpath.cluster import Cluster
from podpath.datapath import TICK, NotFrames, Stuck, never_returned, no_receive, plain_frames, told
from podpath.errors import explain, own_lines
from podpath.host import Host
from podpath.ports import Port, open_port

STUCK_AFTER = 2.0  # seconds that one call of a datapath may take
_SHOWN = 3  # of the different errors, this many are printed as they happen
_KEPT = 100  # different errors
_NOTHING: object = ()  # what a call that raised returned
_AT_ONCE = 64  # frames taken from one port before the others have their turn
_LARGEST = 1 << 14  # bytes of a frame that are read: more than any MTU that the labs use


@dataclass
class Counters:
    """Frames, by port. `dropped` are those that could not be sent, or that the datapath failed on, by reason."""

    received: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        ports = sorted({*self.received, *self.sent})
        width = max(map(len, [*ports, "port"]))
        lines = [f"{'port':{width}}  received      sent"]
        lines += [f"{port:{width}}  {self.received[port]:8}  {self.sent[port]:8}" for port in ports]
        lines += [f"dropped: {count} ({reason})" for reason, count in self.dropped.items()]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class Failure:
    """What went wrong in a datapath, once: the error, where, and the frame that caused it."""

    error: str
    port: str
    frame: bytes | None
    cause: BaseException

    def __str__(self) -> str:
        cause = "in tick()" if self.frame is None else f"on a frame from {self.port}: {told(self.port, self.frame)}"
        return f"your code failed {cause}\n{self.error}"

    __repr__ = __str__


def attach(
    datapath: Any,
    node: Host,
    ports: Sequence[str] | None = None,
    *,
    announce: Callable[[str], None] = print,
    **arguments: Any,
) -> "Attachment":
    """Run a datapath on a node's ports, until `detach()` or the end of the `with` block.

    `datapath` is an object, or a class (anything callable): then it is called with the names of the ports and with
    `arguments`. `ports` are the interfaces to take; by default all that the node's bridge connects. The first few
    failures of the datapath are told to `announce`, in words. The port "underlay" is no interface: see `underlay.py`.

    >>> with attach(LearningBridge, cluster.nodes[0]) as bridge:                            # doctest: +SKIP
    ...     cluster.ping(*cluster.pods[:2])
    ...     print(bridge.table)
    """
    cluster = next((c for c in Cluster.running() if c.hosts.get(node.name) is node), None)
    if cluster is None:
        raise ValueError(f"{node.name} belongs to no cluster that is up")
    taken = list(cluster.ports(node) if ports is None else ports)
    if not taken:
        raise ValueError(f"{node.name} has no ports that a datapath could take")
    for other in cluster.attached:
        if isinstance(other, Attachment) and other.node is node and set(other.ports) & set(taken):
            other.detach()  # a cell was run again: two on one port would send every frame twice
    if callable(datapath) and not hasattr(type(datapath), "receive"):
        datapath = datapath(list(taken), **arguments)
    if not hasattr(datapath, "receive"):
        raise TypeError(no_receive(datapath))
    attachment = Attachment(datapath, cluster, node, taken, announce)
    attachment._start()
    return attachment


class Attachment:
    """A datapath at work. Attributes that it does not have itself are the datapath's: `bridge.table` is the table."""

    def __init__(
        self, datapath: Any, cluster: Cluster, node: Host, ports: list[str], announce: Callable[[str], None]
    ) -> None:
        self.datapath = datapath
        self._receive = datapath.receive
        self._announce = announce
        self.ports = ports
        self.counters = Counters()
        self.failures: list[Failure] = []
        self._cluster, self.node = cluster, node
        self._stack = ExitStack()
        self._wake, self._woken = (self._stack.enter_context(end) for end in socket.socketpair())
        self._thread = threading.Thread(target=self._run, name=f"datapath of {node.name}", daemon=True)
        self._since = 0.0  # when the call that is under way began; 0 when none is
        self._given_up = ""
        self._done = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "datapath" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.datapath, name)

    def __repr__(self) -> str:
        state = self._given_up or ("detached" if self._done else "running")
        return f"<{type(self.datapath).__name__} on {self.node.name}: {', '.join(self.ports)}; {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def detach(self) -> None:
        """Take the datapath off the wire. Twice is fine."""
        if self._done:
            return
        self._done = True
        self._wake.send(b"x")
        while self._thread.is_alive():  # the watch ends a call that is stuck
            self._thread.join(TICK)
            if not self._interrupt_if_stuck():
                break
        self._stack.close()
        self._cluster.forget(self)
        hidden = len(self.failures) - _SHOWN
        if hidden > 0:
            self._announce(f"podpath: {hidden} more failures of other kinds; all are in .failures")

    def _start(self) -> None:
        plan = self._cluster.plan.hosts[self.node.name]
        opened: dict[str, Port] = {}
        try:
            with netns.inside(self.node.netns):
                for port in self.ports:
                    opened[port] = self._stack.enter_context(closing(open_port(port, plan)))
            for host, interface in self._cluster.peers(self.node, [one.interface for one in opened.values()]):
                with netns.inside(host.netns):
                    netns.switch_offloads_off(interface)
        except BaseException:
            self._stack.close()
            raise
        self._opened = opened
        self._cluster.remember(self)
        self._thread.start()
        threading.Thread(target=self._watch, name=f"watch over {self.node.name}", daemon=True).start()

    # -- the thread

    def _run(self) -> None:
        poll = select.epoll()
        by_fd: dict[int, tuple[str, Callable[[int], bytes]]] = {}
        for port, opened in self._opened.items():
            for fd, recv in opened.readers:
                by_fd[fd] = port, recv
                poll.register(fd, select.EPOLLIN)
        stop = self._woken.fileno()
        poll.register(stop, select.EPOLLIN)
        sends = {port: opened.send for port, opened in self._opened.items()}
        at_once = dict.fromkeys(by_fd, 1)
        ticking = callable(getattr(self.datapath, "tick", None))
        ticked = time.monotonic()
        with poll:
            while True:
                for fd, _ in poll.poll(TICK):
                    if fd == stop:
                        return
                    # To find a socket empty costs as much as to look at all of them. So more is taken from one at once
                    # only while there is more.
                    wanted = at_once[fd]
                    taken = self._drain(*by_fd[fd], sends, wanted)
                    at_once[fd] = min(2 * wanted, _AT_ONCE) if taken == wanted else max(1, taken)
                if ticking and (now := time.monotonic()) - ticked >= TICK / 2:
                    ticked = now
                    self._call(lambda now: self.datapath.tick(now), sends)

    def _drain(
        self, port: str, recv: Callable[[int], bytes], sends: Mapping[str, Callable[[bytes], int]], wanted: int
    ) -> int:
        """Hand over up to `wanted` frames that have arrived on one port; how many there were.

        This is the path of every packet: it is written to be fast.
        """
        receive, clock = self._receive, time.monotonic
        sent, received = self.counters.sent, 0
        frame: bytes | None = None
        out: object = _NOTHING
        try:
            while received < wanted:
                try:
                    frame = recv(_LARGEST)
                except OSError:
                    break  # there is no more, or the interface has gone down
                received += 1
                self._since = now = clock()
                out = _NOTHING
                try:
                    out = receive(port, frame, now)
                    self._since = 0.0
                    if not isinstance(out, list):
                        out = plain_frames(out)
                    for to, data in out:
                        try:
                            sends[to](data)
                            sent[to] += 1
                        except OSError as error:
                            self.counters.dropped[f"not sent: {error.strerror}"] += 1
                except BaseException as error:
                    self._since = 0.0
                    self._failed(error, port, frame, out)
                    if self._given_up:
                        break
        except Stuck:  # it came late, when the call had already returned
            pass
        finally:
            self.counters.received[port] += received
        return received

    def _call(self, function: Callable[[float], Any], sends: Mapping[str, Callable[[bytes], int]]) -> None:
        """The same for a tick, where speed does not matter."""
        if self._given_up:
            return
        self._since = now = time.monotonic()
        out: object = _NOTHING
        try:
            out = function(now)
            self._since = 0.0
            for to, data in plain_frames(out or []):
                try:
                    sends[to](data)
                    self.counters.sent[to] += 1
                except OSError as error:
                    self.counters.dropped[f"not sent: {error.strerror}"] += 1
        except BaseException as error:
            self._since = 0.0
            self._failed(error, "", None, out)

    def _failed(self, error: BaseException, port: str, frame: bytes | None, out: object) -> None:
        if frame is not None:
            self.counters.dropped["your code failed on them"] += 1
        if isinstance(error, Stuck):
            self._given_up = f"given up: a call took more than {STUCK_AFTER:g} s"
            said = never_returned("tick(now)" if frame is None else "receive(port, frame, now)", STUCK_AFTER)
            self._receive = _drop
        else:
            said = self._words(error, out, "tick(now)" if frame is None else "receive(port, frame, now)")
        if len(self.failures) < _KEPT and said not in [failure.error for failure in self.failures]:
            self.failures.append(Failure(said, port, frame, error))
            if len(self.failures) <= _SHOWN:
                self._announce(f"podpath: {self.failures[-1]}")

    def _words(self, error: BaseException, out: object, call: str) -> str:
        if not own_lines(error):  # it is not the learner's code that raised, but what it returned that will not do
            try:
                plain_frames(out)
            except NotFrames as wrong:
                return str(wrong)
            if isinstance(error, KeyError):
                return f"it sends to port {error.args[0]!r}, which there is not; there are {', '.join(self.ports)}"
        return explain(error, call)

    # -- watching over it

    def _watch(self) -> None:
        while not self._done and self._thread.is_alive():
            self._thread.join(STUCK_AFTER / 4)
            self._interrupt_if_stuck()

    def _interrupt_if_stuck(self) -> bool:
        """Throw Stuck into a call that has taken too long; false once that has been of no use for too long."""
        since = self._since
        late = time.monotonic() - since if since else 0.0
        if late > STUCK_AFTER:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(Stuck)
            )
        return late < STUCK_AFTER + 3


def _drop(port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
    """What stands in for a datapath that was given up."""
    return []

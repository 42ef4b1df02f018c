"""The learner's class in a jail: no network, no files but Python's, no capabilities, limits on time and memory.

Nothing of the learner's ever runs on this side. Values cross as JSON, and are looked at as if sent by an enemy: a
submission can lie about nothing but the frames that it sends, which is what it is judged by.
"""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader import bubblewrap, processes, seccomp
from grader.channel import clean, exchange, frames_in, typed, value_in
from grader.check import Conversation, Handle, LearnerError
from grader.patience import Stopwatch
from grader.subject import CALL_SECONDS, PRINTED, Guarded, missing_class, missing_function
from podpath.datapath import TICK, Frames, never_returned
from podpath.sandbox import NoSandbox
from podpath.values import encode, shown_call

START_SECONDS = 30.0  # for Python to be up in the jail, however busy this machine is
LOAD_SECONDS = 5.0  # what all cells together may take
_HUNG = 5  # calls that never return, in one submission: each costs whoever waits for a grade
_STOPPED = "it had been stopped before"
_BATCH = 256  # frames handed over in one message
_MORE_SECONDS = 0.002  # for each further call in one message


@dataclass(frozen=True)
class Cell:
    """A piece of the learner's program. `label` is what people are told it is: "cell 4".

    A cell of a notebook leaves behind what it defined before it failed. With `whole`, as for a .py file that cannot be
    imported, there is nothing left of one that fails.
    """

    label: str
    source: str
    whole: bool = False


class NoJail(NoSandbox):
    """There is no jail here that deserves the name: nobody's fault but ours, or this machine's. The text says why."""


class Jail:
    """A subject: the class `class_name` that `cells` define, in a process of its own.

    A breach (a call that takes too long, a reply too long or not understood, the end of the process) kills the
    process; LearnerError says why, and the next `make` starts another. Use it as a context manager. Raises NoJail where
    this machine does not keep what the jail promises, unless it is an `open_jail`.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        class_name: str,
        seconds: float = 60.0,
        privileged: bool = False,
        open_jail: bool = False,
    ) -> None:
        self.cells, self.class_name, self.privileged = list(cells), class_name, privileged
        self._open = open_jail
        self.lacking: list[str] = []  # which promises this machine does not keep, as far as has been seen
        self.errors: list[str] = []  # what the cells raised, in words
        self.kept_waiting = 0.0  # seconds for which it was ready to run during calls, and no processor free
        self.hung = 0  # how many calls have never returned
        self._left = seconds  # of the time that it may take in all
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._sockets: socket.socket | None = None  # by which it is handed others
        self._runner: int | None = None  # the process in which their code is, as soon as it is known
        self._turn = threading.Lock()  # on live interfaces several threads ask, and one is answered at a time
        self._broken = ""  # why it cannot be asked any more: the cells themselves are at fault
        self._printed = ""

    def __enter__(self) -> "Jail":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill it. Twice is fine."""
        if self._process is not None:
            if self.privileged:  # there, the first process could be made to outlive bubblewrap, by its own root
                for first in processes.children(self._process.pid):
                    os.kill(first.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            self._process = self._runner = None
        for channel in (self._channel, self._sockets):
            if channel is not None:
                channel.close()
        self._channel = self._sockets = None

    def make(self, ports: Sequence[str], *args: Any, **kwargs: Any) -> Handle:
        self._ensure_started()
        reply = self._called(self.class_name, args, kwargs, missing_class(self.class_name), do="make")
        return _Remote(self, self._process, typed(reply.get("made"), int), ports)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        self._ensure_started()
        return value_in(self._called(function, args, kwargs, missing_function(function), do="call"))

    def _called(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], missing: str = "", **request: Any
    ) -> dict[str, Any]:
        """Have something of theirs called; the reply, if that went well."""
        call = shown_call(name, args, kwargs)
        coded = {key: encode(value) for key, value in kwargs.items()}
        reply = self._ask(call, name=name, call=call, args=[encode(one) for one in args], kwargs=coded, **request)
        self._raise_if_missing(reply, missing)
        return reply

    def _raise_if_missing(self, reply: dict[str, Any], missing: str) -> None:
        """LearnerError also for whatever else went wrong."""
        if reply.get("missing"):
            raise LearnerError("\n".join([f"{missing} in your code", *self.errors]))
        self._raise_if_error(reply)

    def converse(self, function: str, *ends: socket.socket) -> Conversation:
        self._ensure_started()
        assert self._sockets is not None
        with contextlib.suppress(OSError):  # it has ended, as the next line will find
            socket.send_fds(self._sockets, [b"!"], [end.fileno() for end in ends])
        for end in ends:
            end.close()
        reply = self._ask(f"{function}(...)", do="converse", name=function, ends=len(ends))
        self._raise_if_missing(reply, missing_function(function))
        return _Conversing(self, self._process, typed(reply.get("started"), int))

    def printed(self) -> str:
        text, self._printed = self._printed, ""
        return text

    def home(self) -> int:
        self._ensure_started()
        assert self._process is not None
        try:
            return processes.command_of(self._process.pid)
        except ProcessLookupError:
            raise LearnerError("its process ended") from None

    def _ensure_started(self) -> None:
        if self._broken:
            raise LearnerError(self._broken)
        if self._process is not None:
            return
        (ours, theirs), (sockets, far) = socket.socketpair(), socket.socketpair()
        with theirs, far, tempfile.TemporaryFile() as calls:
            calls.write(seccomp.program(self.privileged))
            calls.seek(0)
            given = theirs.fileno(), far.fileno(), calls.fileno()
            self._process = subprocess.Popen(
                bubblewrap.command(*given, self.privileged),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=given,
                env={"PATH": os.environ.get("PATH", os.defpath)},  # bubblewrap's own can be read in the jail
            )
        self._channel, self._sockets = ours, sockets
        self._look_at_walls()
        cells = [[cell.label, cell.source, cell.whole] for cell in self.cells]
        try:
            reply = self._ask("your code outside the class", LOAD_SECONDS, do="load", cells=cells)
        except LearnerError as error:
            self._broken = str(error)
            raise
        self.errors = [clean(text, 2000) for text in typed(reply.get("errors"), list)]

    def _look_at_walls(self) -> None:
        """See that the jail is one, before anything of theirs is in it. Until then, failures are ours."""
        assert self._channel is not None
        request = {"do": "walls", "privileged": self.privileged}
        try:
            reply = exchange(self._channel, request, Stopwatch(None), START_SECONDS)
            lacking = typed(reply.get("lacking"), list)
        except (OSError, ValueError, LearnerError) as error:
            self.close()
            raise NoJail(f"the jail did not start ({error or 'it took too long'})") from None
        self.lacking = [clean(one, 200) for one in lacking]
        if self.lacking and not self._open:
            self.close()
            raise NoJail(f"this machine does not keep what the jail promises: {', '.join(self.lacking)}")

    def _ask(self, what: str, seconds: float = CALL_SECONDS, **request: Any) -> dict[str, Any]:
        """One request, one reply. `what` is being asked, in words."""
        with self._turn:
            if self._channel is None:
                raise LearnerError(_STOPPED)
            if self._left <= 0 or self.hung == _HUNG:
                self.close()
                self._broken = "all its time was used up by then"
                if self.hung == _HUNG:
                    self._broken = f"{_HUNG} calls of your code had not returned by then, and no more were tried"
                raise LearnerError(self._broken)
            watch, limit = self._stopwatch(), min(seconds, self._left)
            try:
                reply = exchange(self._channel, request, watch, limit)
                self._left -= watch.elapsed()
                self.kept_waiting += watch.waited()
            except TimeoutError:
                self._left -= limit
                self.hung += 1
                self.close()
                told = LOAD_SECONDS if request["do"] == "load" else CALL_SECONDS
                raise LearnerError(never_returned(what, told)) from None
            except (OSError, ValueError, RecursionError) as error:
                self.close()
                said = f"its process ended, or sent nonsense, during {what} ({clean(str(error), 100)})"
                raise LearnerError(said) from None
            self._printed = (self._printed + clean(str(reply.get("printed", "")), PRINTED))[:PRINTED]
            return reply

    def _stopwatch(self) -> Stopwatch:
        """One that runs with the process in which their code is."""
        if self._runner is None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._runner = processes.command_of(self._process.pid)
        return Stopwatch(self._runner)

    def _raise_if_error(self, reply: dict[str, Any]) -> None:
        if "error" in reply:
            raise LearnerError(clean(typed(reply["error"], str), 2000))


class _Remote(Guarded):
    """A datapath in the jail: the `number`th of the process that was there when it was made."""

    def __init__(self, jail: Jail, process: object, number: int, ports: Sequence[str]) -> None:
        super().__init__(ports)
        self._jail, self._process, self._number = jail, process, number

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self._raise_if_stopped()
        return value_in(self._jail._called(method, args, kwargs, do="call", which=self._number))

    def call_all(self, method: str, arguments: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(arguments), _BATCH):
            batch = [encode(one) for one in arguments[start : start + _BATCH]]
            reply = self._ask(f"{method}(...)", len(batch), do="call_all", name=method, arguments=batch)
            found += [value_in({"value": one}) for one in typed(reply.get("values"), list)]
        if len(found) != len(arguments):
            raise LearnerError("its process sent nonsense")
        return found

    def _raise_if_stopped(self) -> None:
        if self._jail._process is not self._process:
            raise LearnerError(_STOPPED)

    def _ask(self, what: str, calls: int = 1, **request: Any) -> dict[str, Any]:
        self._raise_if_stopped()
        reply = self._jail._ask(what, CALL_SECONDS + _MORE_SECONDS * calls, which=self._number, **request)
        self._jail._raise_if_error(reply)
        return reply

    def _run(self, arriving: Sequence[tuple[str, bytes, float]]) -> list[Frames]:
        sent: list[Frames] = []
        for start in range(0, len(arriving), _BATCH):
            batch = [(port, frame.hex(), now) for port, frame, now in arriving[start : start + _BATCH]]
            reply = self._ask("receive(port, frame, now)", len(batch), do="run", arriving=batch)
            answers = [frames_in(item) for item in typed(reply.get("sent"), list)]
            if len(answers) != len(batch):
                raise LearnerError("its process sent nonsense")
            sent += answers
        return sent

    def _ticks(self, start: float, end: float) -> Frames:
        reply = self._ask("tick(now)", round((end - start) / TICK), do="ticks", start=start, end=end)
        return frames_in(reply.get("frames"))


class _Conversing:
    """A coroutine in the jail: the `number`th of the process that was there when it was started."""

    def __init__(self, jail: Jail, process: object, number: int) -> None:
        self._jail, self._process, self._number = jail, process, number

    def ended(self, seconds: float) -> bool:
        if self._jail._process is not self._process:
            raise LearnerError(_STOPPED)
        reply = self._jail._ask("a coroutine", do="ended", number=self._number, at_most=seconds)
        self._jail._raise_if_error(reply)
        return reply.get("ended") is True

    def stop(self) -> None:
        if self._jail._process is self._process:
            with contextlib.suppress(LearnerError):  # then it has ended
                self._jail._ask("a coroutine", do="stop", number=self._number)

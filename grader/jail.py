"""The learner's class in a jail: no network, no files but Python's, no capabilities, limits on time and memory.

Nothing of the learner's ever runs on this side. Values cross as JSON, and are looked at as if sent by an enemy: a
submission can lie about nothing but the frames that it sends, which is what it is judged by.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader import bubblewrap, processes
from grader.check import Handle, LearnerError
from grader.subject import CALL_SECONDS, PRINTED, Guarded, missing_class, missing_function
from podpath.datapath import Frames, never_returned
from podpath.values import decode, encode, shown_call

START_SECONDS = 30.0  # what a slow machine may take for the jail itself, which is not the learner's doing
LOAD_SECONDS = 5.0  # what all cells together may take
REPLY = 4 << 20  # bytes: a longer reply is a breach
_STOPPED = "it had been stopped before"
_BATCH = 256  # frames handed over in one message


@dataclass(frozen=True)
class Cell:
    """A piece of the learner's program. `label` is what people are told it is: "cell 4".

    A cell of a notebook leaves behind what it defined before it failed. With `whole`, as for a .py file that cannot be
    imported, there is nothing left of one that fails.
    """

    label: str
    source: str
    whole: bool = False


class Jail:
    """A subject: the class `class_name` that `cells` define, in a process of its own.

    A breach (a call that takes too long, a reply too long or not understood, the end of the process) kills the
    process; LearnerError says why, and the next `make` starts another. Use it as a context manager.
    """

    def __init__(
        self, cells: Sequence[Cell], class_name: str, seconds: float = 60.0, privileged: bool = False
    ) -> None:
        self.cells, self.class_name, self.privileged = list(cells), class_name, privileged
        self.errors: list[str] = []  # what the cells raised, in words
        self._until = time.monotonic() + seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
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
            self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def make(self, ports: Sequence[str], *args: Any, **kwargs: Any) -> Handle:
        self._ensure_started()
        reply = self._called(self.class_name, args, kwargs, missing_class(self.class_name), do="make")
        return _Remote(self, self._process, _typed(reply.get("made"), int), ports)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        self._ensure_started()
        return _value(self._called(function, args, kwargs, missing_function(function), do="call"))

    def _called(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], missing: str = "", **request: Any
    ) -> dict[str, Any]:
        """Have something of theirs called; the reply, if that went well."""
        call = shown_call(name, args, kwargs)
        coded = {key: encode(value) for key, value in kwargs.items()}
        reply = self._ask(call, name=name, call=call, args=[encode(one) for one in args], kwargs=coded, **request)
        if reply.get("missing"):
            raise LearnerError("\n".join([f"{missing} in your code", *self.errors]))
        self._raise_if_error(reply)
        return reply

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
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                bubblewrap.command(theirs.fileno(), self.privileged),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self._channel = ours
        cells = [[cell.label, cell.source, cell.whole] for cell in self.cells]
        try:
            self._ask("its process", START_SECONDS, do="load", cells=[])
            reply = self._ask("your code outside the class", LOAD_SECONDS, do="load", cells=cells)
        except LearnerError as error:
            self._broken = str(error)
            raise
        self.errors = [_clean(text, 2000) for text in _typed(reply.get("errors"), list)]

    def _ask(self, what: str, seconds: float = CALL_SECONDS, **request: Any) -> dict[str, Any]:
        """One request, one reply. `what` is being asked, in words."""
        with self._turn:
            if self._channel is None:
                raise LearnerError(_STOPPED)
            left = min(seconds, self._until - time.monotonic())
            if left <= 0:
                self.close()
                self._broken = "all its time was used up by then"
                raise LearnerError(self._broken)
            try:
                reply = _exchange(self._channel, request, left)
            except TimeoutError:
                self.close()
                raise LearnerError(never_returned(what, seconds)) from None
            except (OSError, ValueError, RecursionError) as error:
                self.close()
                said = f"its process ended, or sent nonsense, during {what} ({_clean(str(error), 100)})"
                raise LearnerError(said) from None
            self._printed = (self._printed + _clean(str(reply.get("printed", "")), PRINTED))[:PRINTED]
            return reply

    def _raise_if_error(self, reply: dict[str, Any]) -> None:
        if "error" in reply:
            raise LearnerError(_clean(_typed(reply["error"], str), 2000))


class _Remote(Guarded):
    """A datapath in the jail: the `number`th of the process that was there when it was made."""

    def __init__(self, jail: Jail, process: object, number: int, ports: Sequence[str]) -> None:
        super().__init__(ports)
        self._jail, self._process, self._number = jail, process, number

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self._raise_if_stopped()
        return _value(self._jail._called(method, args, kwargs, do="call", which=self._number))

    def call_all(self, method: str, arguments: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(arguments), _BATCH):
            batch = [encode(one) for one in arguments[start : start + _BATCH]]
            reply = self._ask(f"{method}(...)", do="call_all", name=method, arguments=batch)
            found += [_value({"value": one}) for one in _typed(reply.get("values"), list)]
        if len(found) != len(arguments):
            raise LearnerError("its process sent nonsense")
        return found

    def _raise_if_stopped(self) -> None:
        if self._jail._process is not self._process:
            raise LearnerError(_STOPPED)

    def _ask(self, what: str, **request: Any) -> dict[str, Any]:
        self._raise_if_stopped()
        reply = self._jail._ask(what, which=self._number, **request)
        self._jail._raise_if_error(reply)
        return reply

    def _run(self, arriving: Sequence[tuple[str, bytes, float]]) -> list[Frames]:
        sent: list[Frames] = []
        for start in range(0, len(arriving), _BATCH):
            batch = [(port, frame.hex(), now) for port, frame, now in arriving[start : start + _BATCH]]
            reply = self._ask("receive(port, frame, now)", do="run", arriving=batch)
            answers = [_frames(item) for item in _typed(reply.get("sent"), list)]
            if len(answers) != len(batch):
                raise LearnerError("its process sent nonsense")
            sent += answers
        return sent

    def _ticks(self, start: float, end: float) -> Frames:
        reply = self._ask("tick(now)", do="ticks", start=start, end=end)
        return _frames(reply.get("frames"))


def _exchange(channel: socket.socket, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    until = time.monotonic() + seconds
    data = json.dumps(request).encode()
    channel.settimeout(seconds)
    channel.sendall(struct.pack("!I", len(data)) + data)
    (length,) = struct.unpack("!I", _exactly(channel, 4, until))
    if length > REPLY:
        raise ValueError("a reply too long")
    reply = json.loads(_exactly(channel, length, until))
    if not isinstance(reply, dict):
        raise ValueError("not an object")
    return reply


def _exactly(channel: socket.socket, count: int, until: float) -> bytes:
    parts, missing = [], count
    while missing:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        part = channel.recv(min(missing, 1 << 16))
        if not part:
            raise OSError("the end of the process")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise LearnerError("its process sent nonsense")
    return value


def _value(reply: dict[str, Any]) -> Any:
    try:
        return decode(reply.get("value"))
    except (ValueError, RecursionError):
        raise LearnerError("its process sent nonsense") from None


def _frames(value: Any) -> Frames:
    frames = []
    for item in _typed(value, list):
        if len(_typed(item, list)) != 2:
            raise LearnerError("its process sent nonsense")
        port, frame = item
        try:
            frames.append((_typed(port, str), bytes.fromhex(_typed(frame, str))))
        except ValueError:
            raise LearnerError("its process sent nonsense") from None
    return frames


def _clean(text: object, length: int) -> str:
    """Text that may be shown: no control characters, which could rewrite a terminal, and no more than `length`."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in str(text)[:length])

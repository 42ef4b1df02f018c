"""The learner's class in this process: for the notebook, where speed counts and looking inside is the point.

Where it counts, `jail.py` takes its place. Both answer the checks in the same way, because both go through `Guarded`.
"""

import contextlib
import io
import os
import signal
import socket
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from grader.check import Conversation, Handle, LearnerError
from podpath.datapath import TICK, Frames, NotFrames, Stuck, never_returned, no_method, no_receive, plain_frames, tick
from podpath.errors import explain
from podpath.streams import Running
from podpath.values import NotPlain, decode, encode, shown_call

CALL_SECONDS = 2.0  # what one call of a learner's code may take
PRINTED = 500  # characters of what it prints that are shown


class Guarded(Handle):
    """A datapath whose answers have been looked at: what comes out are frames for ports that exist."""

    def __init__(self, ports: Sequence[str]) -> None:
        self._ports = list(ports)

    @abstractmethod
    def _run(self, arriving: Sequence[tuple[str, bytes, float]]) -> list[Frames]: ...

    @abstractmethod
    def _ticks(self, start: float, end: float) -> Frames: ...

    @abstractmethod
    def call(self, method: str, *args: Any, **kwargs: Any) -> Any: ...

    @abstractmethod
    def call_all(self, method: str, arguments: Sequence[Any]) -> list[Any]: ...

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        return self.receive_all([(port, frame, now)])[0]

    def receive_all(self, arriving: Sequence[tuple[str, bytes, float]]) -> list[Frames]:
        return [self._checked(frames) for frames in self._run(arriving)]

    def ticks(self, start: float, end: float) -> Frames:
        return self._checked(self._ticks(start, end))

    def tick(self, now: float) -> Frames:
        """One tick; with `receive`, this makes it a datapath that can be run on live interfaces."""
        return self.ticks(now, now)

    def _checked(self, frames: Frames) -> Frames:
        for port, _ in frames:
            if port not in self._ports:
                there = ", ".join(self._ports)
                raise LearnerError(f"it sends to port {port[:40]!r}, which there is not; there are {there}")
        return frames


def answer(
    call: str,
    function: Callable[..., object],
    *args: Any,
    plain: Callable[[object], Any] = plain_frames,
    **kwargs: Any,
) -> Any:
    """What a call of learner's code returned, as frames; LearnerError, in words, if it raised or returned others.

    Their code may raise anything, SystemExit included. What the watch below throws into it is not theirs. `plain`
    makes another kind of value of what they returned.
    """
    try:
        return plain(function(*args, **kwargs))
    except (NotFrames, NotPlain) as wrong:
        raise LearnerError(str(wrong)) from None
    except (Stuck, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise LearnerError(explain(error, call)) from None


def all_ticks(datapath: Any, start: float, end: float) -> Frames:
    """Every tick after `start`, up to `end`."""
    if not hasattr(datapath, "tick"):
        return []
    sent: Frames = []
    steps = max(1, round((end - start) / TICK))
    for step in range(1, steps + 1):
        now = start + (end - start) * step / steps
        sent += answer("tick(now)", tick, datapath, now)
    return sent


@contextlib.contextmanager
def time_limit(call: str) -> Iterator[None]:
    """End the body after CALL_SECONDS, with LearnerError. Only in the main thread: elsewhere `live` keeps watch."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Stuck

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again: a bare `except:` in the learner's code may swallow the first.
    signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS, 0.1)
    try:
        yield
    except Stuck:
        raise LearnerError(never_returned(call, CALL_SECONDS)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Capped(io.TextIOBase):
    """A file that remembers the beginning of what is written to it."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        if len(self.text) < PRINTED:
            self.text += text[: PRINTED - len(self.text)]
        return len(text)


class InProcess:
    """A subject: what the notebook has defined, of which the lab's class is called `class_name`."""

    def __init__(self, names: Mapping[str, Any], class_name: str) -> None:
        self._names, self._class_name = names, class_name
        self._output = _Capped()
        self._turn = threading.Lock()  # on live interfaces several threads ask; there is one stdout

    def make(self, ports: Sequence[str], *args: Any, **kwargs: Any) -> Handle:
        made = self._call(missing_class(self._class_name), self._class_name, args, kwargs, lambda made: made)
        return _Local(made, ports, self)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        return self._call(missing_function(function), function, args, kwargs, plain_value)

    def converse(self, function: str, *ends: socket.socket) -> Conversation:
        self._raise_if_missing(missing_function(function), function)
        return _Conversing(function, Running(self._names[function], ends))

    def _raise_if_missing(self, missing: str, name: str) -> None:
        if name not in self._names:
            raise LearnerError(
                f"{missing} yet. Run the cell that defines it; if that cell shows an error, mend it first"
            )

    def _call(
        self,
        missing: str,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        plain: Callable[[object], Any],
    ) -> Any:
        self._raise_if_missing(missing, name)
        return self.ask(shown_call(name, args, kwargs), self._names[name], args, kwargs, plain)

    def ask(
        self,
        call: str,
        function: Callable[..., object],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        plain: Callable[[object], Any],
    ) -> Any:
        """Call anything of theirs, with values of its own."""
        args = plain_value(list(args))
        kwargs = {key: plain_value(value) for key, value in kwargs.items()}
        with self._running(call):
            return answer(call, function, *args, plain=plain, **kwargs)

    def printed(self) -> str:
        text, self._output.text = self._output.text, ""
        return text

    def home(self) -> int:
        return os.getpid()

    @contextlib.contextmanager
    def _running(self, call: str) -> Iterator[None]:
        shown = contextlib.redirect_stdout(self._output), contextlib.redirect_stderr(self._output)
        with self._turn, shown[0], shown[1], time_limit(call):
            yield


def plain_value(value: object) -> Any:
    """A value as it would be on the other side of the jail's wall. Raises NotPlain."""
    return decode(encode(value))


def missing_class(name: str) -> str:
    """The beginning of a sentence."""
    return f"there is no class {name}"


def missing_function(name: str) -> str:
    """The beginning of a sentence."""
    return f"there is no function {name}"


class _Conversing:
    def __init__(self, name: str, running: Running) -> None:
        self._name, self._running = name, running
        self.stop = running.stop

    def ended(self, seconds: float) -> bool:
        over = self._running.ended(seconds)
        if self._running.error is not None:
            raise LearnerError(explain(self._running.error, f"{self._name}(...)"))
        return over


class _Local(Guarded):
    def __init__(self, made: Any, ports: Sequence[str], owner: InProcess) -> None:
        super().__init__(ports)
        self._made, self._owner = made, owner

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._owner.ask(shown_call(method, args, kwargs), self._method(method), args, kwargs, plain_value)

    def call_all(self, method: str, arguments: Sequence[Any]) -> list[Any]:
        call, found = f"{method}(...)", []
        with self._owner._running(call):
            for argument in arguments:
                found.append(answer(call, self._method(method), plain_value(argument), plain=plain_value))
        return found

    def _method(self, name: str) -> Callable[..., object]:
        function: Callable[..., object] | None = getattr(self._made, name, None)
        if function is None:
            raise LearnerError(no_method(self._made, name))
        return function

    def _run(self, arriving: Sequence[tuple[str, bytes, float]]) -> list[Frames]:
        if not hasattr(self._made, "receive"):
            raise LearnerError(no_receive(self._made))
        call, sent = "receive(port, frame, now)", []
        for port, frame, now in arriving:
            with self._owner._running(call):
                sent.append(answer(call, self._made.receive, port, frame, now))
        return sent

    def _ticks(self, start: float, end: float) -> Frames:
        with self._owner._running("tick(now)"):
            return all_ticks(self._made, start, end)

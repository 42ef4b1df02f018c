"""Says how far a long job is, and how long it may still take: a line that moves in a terminal, few lines elsewhere."""

import sys
import time
from typing import TextIO

_BAR = 30  # characters
_EVERY = 15.0  # seconds between two lines where they cannot be overwritten


class ProgressBar:
    """Called with what is being done, how much of it is done, and of how much. Use it as a context manager."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream, self._live = stream, stream.isatty()
        self._what, self._began, self._skipped, self._said = "", 0.0, 0, 0.0

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._what:
            self._stream.write("\n")

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            if self._live and self._what:
                self._stream.write("\n")
            self._what, self._began, self._skipped, self._said = what, now, done - 1, now if total > 1 else 0.0
        if not self._live and done < total and now - self._said < _EVERY:
            return
        self._said = now
        left = (now - self._began) / (done - self._skipped) * (total - done)
        bar = "#" * (_BAR * done // total)
        line = f"{what:10} [{bar:{_BAR}}] {done:4} of {total}{_in_words(left) if done < total else '':24}"
        self._stream.write(f"\r{line}" if self._live else f"{line.rstrip()}\n")
        self._stream.flush()


def _in_words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f", about {minutes} min to go" if minutes >= 2 else f", about {60 * minutes + rest} s to go"

"""Time as it was for a program, on a machine that is busy with other things as well.

A limit in seconds of the clock would punish whoever is graded while the machine is busy. Linux counts for how long each
thread was ready to run while no processor was free for it (schedstat, see Documentation/scheduler/sched-stats.rst); that
time is not the program's. What it slept, it slept on its own account.
"""

import time
from pathlib import Path

_SHORT, _MOST_OF_IT = 0.3, 0.5  # seconds, and a part of the time: with less, deadlines hold
_MOST = 15.0  # times as long as a limit says: a program cannot have more, however busy the machine is


def kept_waiting(process: int | str) -> float:
    """For how many seconds the first thread of a process (or "self") has waited for a processor so far.

    0.0 where the kernel does not count that, or the process has ended.
    """
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Stopwatch:
    """How long a process has had, from when this was made; the clock's time where there is no process."""

    def __init__(self, process: int | None) -> None:
        self._process = process
        self._began, self._before = time.monotonic(), self._waiting()

    def elapsed(self) -> float:
        """In seconds."""
        wall = time.monotonic() - self._began
        return max(wall - self.waited(), wall / _MOST)

    def waited(self) -> float:
        """For how many seconds it has waited for a processor meanwhile."""
        return max(self._waiting() - self._before, 0.0)

    def _waiting(self) -> float:
        return 0.0 if self._process is None else kept_waiting(self._process)


class Calm:
    """Whether this machine has had time for us, from when this was made."""

    def __init__(self) -> None:
        self._began, self._own, self._all = time.monotonic(), kept_waiting("self"), _pressure()

    def was_disturbed(self, more: float = 0.0) -> bool:
        """Whether deadlines mean little: we were kept waiting, `more` seconds included, or everybody was, most of the time.

        The latter is what Linux calls pressure (Documentation/accounting/psi.rst), where it is counted.
        """
        took = time.monotonic() - self._began
        return kept_waiting("self") - self._own + more > _SHORT or (_pressure() - self._all) / took > _MOST_OF_IT


def _pressure() -> float:
    """For how many seconds so far some program was ready to run, and no processor free."""
    try:
        return int(Path("/proc/pressure/cpu").read_text().splitlines()[0].rpartition("=")[2]) / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0

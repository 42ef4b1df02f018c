"""Processes as the kernel shows them, in /proc: what a check can know of a program without believing it.

The learner's code may run in a process-id namespace of its own, where a process has another number than here. The kernel
lists all its numbers, from ours inwards (`NSpid`, proc_pid_status(5)).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_SIGKILL = 1 << 8  # in a mask of signals
_EXITING = 0x4  # PF_EXITING, in include/linux/sched.h


@dataclass(frozen=True)
class Process:
    """One process, as it was a moment ago. `pid` is its number here, `numbers` all of them, `net` its network
    namespace (`net:[4026531840]`), or None if it has none any more: it has ended, and nobody has asked how.
    """

    pid: int
    numbers: tuple[int, ...]
    parent: int
    state: str
    argv: tuple[str, ...]
    net: str | None
    doomed: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is a zombie, or about to be none."""
        return self.state in "ZX"

    @property
    def runs(self) -> bool:
        """Whether it goes on: what has been killed does not, though it may have to wait for a processor to end."""
        return not self.ended and not self.doomed

    @classmethod
    def read(cls, pid: int) -> Self | None:
        """The process of that number; None if there is none."""
        folder = _PROC / str(pid)
        try:
            lines = (folder / "status").read_text(errors="replace").splitlines()
            told = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
            numbers = tuple(int(number) for number in told["NSpid"].split())
            argv = tuple(words.split("\0")[:-1])
            flags = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[6])
            doomed = bool((int(told["SigPnd"], 16) | int(told["ShdPnd"], 16)) & _SIGKILL or flags & _EXITING)
            return cls(pid, numbers, int(told["PPid"]), told["State"][:1], argv, namespace(pid), doomed)
        except (OSError, KeyError):
            return None  # it has just ended


def namespace(pid: int) -> str | None:
    """The network namespace of a process, as the kernel names it."""
    try:
        return os.readlink(_PROC / str(pid) / "ns/net")
    except OSError:
        return None


def open_files(pid: int) -> set[str]:
    """What a process has open, as the kernel names it: paths, `socket:[1234]`, `net:[4026531840]`."""
    found = set()
    with suppress(OSError):
        for file in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile, as the one by which we read this, in our own case
                found.add(os.readlink(file))
    return found


def everyone() -> Iterator[Process]:
    """All processes that can be seen from here."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (process := Process.read(int(entry.name))):
            yield process


def children(parent: int) -> list[Process]:
    """The processes that have that one for a parent."""
    return [process for process in everyone() if process.parent == parent]


def command_of(bubblewrap: int) -> int:
    """The process that bubblewrap, in the process of that number, was told to run. ProcessLookupError if it has ended.

    The first process in there starts it before anything else that lasts. What it inherits has greater numbers.
    """
    for first in children(bubblewrap):
        if started := [process for process in children(first.pid) if len(process.numbers) > 1]:
            return min(started, key=lambda process: process.numbers[1]).pid
    raise ProcessLookupError(bubblewrap)


def _below(ancestor: int, known: list[Process]) -> Iterator[Process]:
    for process in known:
        if process.parent == ancestor:
            yield process
            yield from _below(process.pid, known)


class View:
    """The processes that the program in the process `home` can see, from outside.

    `home` is where the learner's code runs. If it shares our numbers, these are all processes.
    """

    def __init__(self, home: int) -> None:
        process = Process.read(home)
        if process is None:
            raise ProcessLookupError(home)
        self.home = home
        self._depth = len(process.numbers) - 1
        self._first = process.parent  # in a jail: whoever loses its parent there becomes its child
        self._seen: dict[int, int] = {}  # numbers for the learner, and here

    def all(self) -> dict[int, Process]:
        """Them all, by the number that each has for the learner's code."""
        known = list(everyone())
        if self._depth:
            known = list(_below(self._first, known))
        found = {process.numbers[self._depth]: process for process in known if len(process.numbers) > self._depth}
        self._seen |= {number: process.pid for number, process in found.items()}
        return found

    def process(self, number: int) -> Process | None:
        """The one that has this number for the learner's code; None if there is none."""
        process = Process.read(self._seen[number]) if number in self._seen else None
        if process and process.numbers[self._depth : self._depth + 1] == (number,):
            return process
        return self.all().get(number)

    def holding(self, net: str) -> list[str]:
        """Who keeps a network namespace alive without being in it: open files and mounts, in words."""
        found = []
        for process in self.all().values():
            folder = _PROC / str(process.pid)
            if net in open_files(process.pid):
                found.append(f"process {process.numbers[self._depth]} has it open")
            with suppress(OSError):
                for line in (folder / "mountinfo").read_text(errors="replace").splitlines():
                    _, _, _, root, where, *_ = line.split()
                    found += [f"it is mounted at {where}"] * (root == net)
        return sorted(set(found))

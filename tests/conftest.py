"""What the tests share: tests that run in a sandbox of their own, and waiting with a reason.

A test marked `sandboxed` is an ordinary test function. Where pytest would call it, its own node is run by a second
pytest in a fresh sandbox; what that one prints is the failure. Fixtures are made on both sides, so such tests only
take those that cost nothing, and open their clusters themselves.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from podpath import sandbox

T = TypeVar("T")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--no-header", "--tb=short")
AT_MOST = 90  # seconds: a test that takes longer hangs


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sandboxed: the test runs in a sandbox of its own")
    # A shell has what it starts in the background ignore Ctrl-C, and whatever that starts too: tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if sandbox.inside() or pyfuncitem.get_closest_marker("sandboxed") is None:
        return None  # pytest calls it as usual
    node = f"{pyfuncitem.path}::{pyfuncitem.nodeid.partition('::')[2]}"
    environment = ["env", "--unset=PYTEST_ADDOPTS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"]
    try:
        code, said = sandbox.run([*environment, sys.executable, *PYTEST, node], timeout=AT_MOST)
    except subprocess.TimeoutExpired as late:
        code, said = -1, (late.stdout or b"") + f"\nstill running after {AT_MOST} s".encode()
    text = said.decode(errors="replace")
    if code != 0 or "1 passed" not in text:  # nothing but a pass counts: not a skip, not an empty run
        pytest.fail(f"in the sandbox (exit status {code}):\n{text}", pytrace=False)
    return True


def _wait_until(condition: Callable[[], T], reason: str, deadline: float = 20.0) -> T:
    until, pause = time.monotonic() + deadline, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < until, f"not within {deadline:g} s: {reason}"
        pause.wait(0.01)
    return value


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., object]:
    """`wait_until(condition, reason)`: what `condition()` returns once that is true; fails, with the reason, if late."""
    return _wait_until


def _processes(marker: str) -> dict[int, str]:
    """The command lines, by process id, of all processes on this machine that have `marker` in theirs."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has just ended
            if marker in words:
                found[int(entry.name)] = words
    return found


@pytest.fixture(scope="session")
def processes() -> Callable[[str], dict[int, str]]:
    """`processes(marker)`: those that have it on their command line, wherever they run."""
    return _processes


def _born(pid: int) -> int:
    """When a process began, by which it is told from a later one of the same number; OSError if it has ended."""
    state, *_, born = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:20]
    if state == "Z":
        raise ProcessLookupError(pid)
    return int(born)


def _members(namespaces: set[str]) -> set[tuple[int, int]]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if {os.readlink(entry / "ns" / kind) for kind in ("net", "mnt", "pid")} & namespaces:
                    found.add((int(entry.name), _born(int(entry.name))))
            except OSError:
                continue  # it has just ended, or is none of ours
    return found


@pytest.fixture(scope="session")
def members() -> Callable[[set[str]], set[tuple[int, int]]]:
    """`members(namespaces)`: who is in one of these, each given as `net:[4026531840]`; process ids and births."""
    return _members


def _alive(inside: set[tuple[int, int]]) -> set[tuple[int, int]]:
    found = set()
    for pid, born in inside:
        with suppress(OSError):
            if _born(pid) == born:
                found.add((pid, born))
    return found


@pytest.fixture(scope="session")
def alive() -> Callable[[set[tuple[int, int]]], set[tuple[int, int]]]:
    """`alive(inside)`: who is left of those whom `members` named. With the last of them a namespace is gone.

    To look into the namespaces again would not do: Linux gives their numbers to the next ones.
    """
    return _alive


@pytest.fixture
def marker() -> str:
    """A word that is on no other command line of this machine."""
    return f"podpath-test-{os.getpid()}-{time.monotonic_ns()}"

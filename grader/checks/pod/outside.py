"""Looking into a network namespace from outside, and using it: nothing here asks the learner's code."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from grader.check import LearnerError
from grader.processes import Process, View, open_files
from podpath import netns

DEADLINE = 3.0  # seconds until what has not happened is taken for never
SOON = 1.0  # the same, where it should have happened already
_LISTENING = "0A"  # include/net/tcp_states.h
_MOST = 65536  # bytes of an answer that are read
T = TypeVar("T")


def wait_for(condition: Callable[[], T], deadline: float = DEADLINE) -> T:
    """What `condition()` returns once that is true, or when the deadline has passed."""
    until, pause, seconds = time.monotonic() + deadline, threading.Event(), 0.002
    while not (value := condition()) and time.monotonic() < until:
        pause.wait(seconds)
        seconds = min(1.5 * seconds, 0.05)
    return value


@contextmanager
def inside(process: int) -> Iterator[None]:
    """Run the body in the network namespace of a process. Raises LearnerError if that has ended."""
    path = f"/proc/{process}/ns/net"
    if not os.path.exists(path):
        raise LearnerError("a process ended that was still needed: the pause process, or Python itself")
    with netns.inside(path):
        yield


def ask(process: int, address: str, port: int, line: str = "", deadline: float = DEADLINE) -> str:
    """Connect from the namespace of a process, say `line` if there is one, and return what is answered.

    Tries again until the deadline while nobody listens. Raises OSError.
    """
    until, pause = time.monotonic() + deadline, threading.Event()
    while True:
        try:
            return _ask(process, address, port, line)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            pause.wait(0.01)


def _ask(process: int, address: str, port: int, line: str) -> str:
    with inside(process):
        connection = socket.create_connection((address, port), 1.0)
    with connection:
        if line:
            connection.sendall(line.encode() + b"\n")
        answer, until = b"", time.monotonic() + DEADLINE
        while len(answer) < _MOST and time.monotonic() < until and (part := connection.recv(4096)):
            answer += part
    return answer.decode(errors="replace")


def refuses(process: int, address: str, port: int) -> bool:
    """Whether nobody listens there, as seen from the namespace of a process."""
    try:
        ask(process, address, port, deadline=0)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def listeners(view: View, process: Process) -> dict[int, set[int]]:
    """Who listens in the namespace of a process: ports, and the processes (numbers for the learner) of each."""
    holders: dict[str, set[int]] = {}
    for number, one in view.all().items():
        for link in open_files(one.pid):
            holders.setdefault(link, set()).add(number)
    found: dict[int, set[int]] = {}
    for table in ("tcp", "tcp6"):
        for line in _lines(Path(f"/proc/{process.pid}/net/{table}"))[1:]:
            _, local, _, state, *rest = line.split()
            if state == _LISTENING:
                port = int(local.rpartition(":")[2], 16)
                found.setdefault(port, set()).update(holders.get(f"socket:[{rest[5]}]", set()))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def ip(process: int, *words: str) -> list[dict[str, Any]]:
    """What `ip -json WORDS` says in the namespace of a process."""
    with inside(process):
        done = subprocess.run(["ip", "-json", *words], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout or "[]"))


def loopback_works(process: int) -> str:
    """Connect with ourselves over 127.0.0.1, in the namespace of a process: "" or what went wrong."""
    with inside(process):
        listening, calling = socket.socket(), socket.socket()
    with listening, calling:
        try:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            calling.settimeout(1.0)
            calling.connect(listening.getsockname())
        except OSError as error:
            return error.strerror or str(error)
    return ""


def ignores(process: int, number: int) -> bool:
    """Whether a process ignores a signal (SigIgn, proc_pid_status(5)): a program says so only after a while."""
    for line in _lines(Path(f"/proc/{process}/status")):
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def seen_as(process: int, host: int, address: str) -> str:
    """Connect from the namespace of a process to the host, at one of the host's addresses: as whom the host sees it, or
    what went wrong.
    """
    with inside(host):
        listening = socket.create_server((address, 0))
    with inside(process):
        calling = socket.socket()
    with listening, calling:
        calling.settimeout(1.0)
        listening.settimeout(1.0)
        try:
            calling.connect(listening.getsockname())
            accepted, peer = listening.accept()
        except OSError as error:
            return error.strerror or str(error)
        accepted.close()
    return str(peer[0])

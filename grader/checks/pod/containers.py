"""What the containers of the checks run: small programs, as command lines that work wherever the learner's code does."""

from dataclasses import dataclass

from grader.bubblewrap import PYTHON

_SERVER = """
import socket, sys
address, port, text = sys.argv[1:]
listening = socket.create_server((address, int(port)))
while True:
    with listening.accept()[0] as connection:
        connection.sendall(text.encode())
"""
# It keeps what it is told, and tells it whoever asks.
_SIDECAR = """
import socket, sys
heard = b""
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    with listening.accept()[0] as connection:
        connection.settimeout(2)
        line = connection.makefile("rb").readline()
        if line == b"?\\n":
            connection.sendall(heard)
        else:
            heard += line
"""
_APP = """
import socket, sys, time
while True:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as connection:
            connection.sendall(sys.argv[2].encode() + b"\\n")
        break
    except ConnectionRefusedError:
        time.sleep(0.01)
time.sleep(10000)
"""
_WRITER = """
import sys, time
out, err, count = sys.argv[1:]
sys.stdout.buffer.write(out.encode() * int(count) + b"\\xff\\n" * (err != ""))
sys.stdout.flush()
sys.stderr.write(err)
sys.stderr.flush()
if err:
    time.sleep(10000)
"""
_STUBBORN = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
time.sleep(10000)
"""
# The worker has a session of its own, and has lost its parent: nothing but the namespace tells where it belongs.
_PARENT = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(10000)", "worker"])
os.wait()
time.sleep(10000)
"""
_IDLE = "import time; time.sleep(10000)"


@dataclass(frozen=True)
class Program:
    """A command line, and what it is called in transcripts."""

    name: str
    argv: list[str]


def _python(name: str, source: str, *args: str) -> Program:
    return Program(name, [PYTHON, "-I", "-S", "-c", source, *args])


def server(name: str, port: int, text: str, address: str = "0.0.0.0") -> Program:
    """Listens, and says `text` to whoever connects."""
    return _python(name, _SERVER, address, str(port), text)


def sidecar(name: str, port: int) -> Program:
    """Listens on 127.0.0.1, keeps each line that it is sent, and answers a line `?` with all of them."""
    return _python(name, _SIDECAR, str(port))


def app(name: str, port: int, text: str) -> Program:
    """Sends a line to 127.0.0.1, as soon as somebody listens there, and stays."""
    return _python(name, _APP, str(port), text)


def writer(name: str, out: str, err: str = "", count: int = 1) -> Program:
    """Writes `out`, `count` times, to its standard output, and ends; or `err`, too, to its standard error, and stays.

    In the latter case, a byte that is not UTF-8 comes in between.
    """
    return _python(name, _WRITER, out, err, str(count))


def stubborn(name: str) -> Program:
    """Ignores every signal that can be ignored."""
    return _python(name, _STUBBORN)


def parent(name: str) -> Program:
    """Starts another process, whose last argument is `worker`."""
    return _python(name, _PARENT)


def idle(name: str, *args: str) -> Program:
    """Does nothing; `args` are there to be looked at."""
    return _python(name, _IDLE, *args)

"""The trust boundary: what a submission can see, do and take, which is nothing but its own frames."""

import os
import random
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from grader.check import LearnerError, Subject
from grader.jail import Cell, Jail
from grader.subject import InProcess
from podpath.configuration import Route
from podpath.values import Chance, decode

FRAME = bytes(14)


def jailed(source: str) -> Jail:
    return Jail([Cell("the cell", source)], "LearningBridge")


def answer(expression: str) -> str:
    """What `expression` is in the jail, as text; how it failed, where it does."""
    source = f"""
class LearningBridge:
    def __init__(self, ports): pass
    def receive(self, port, frame, now):
        import os, socket, sys, subprocess, pathlib
        return [("p", repr({expression}).encode())]
"""
    with jailed(source) as jail:
        try:
            return jail.make(["p"], ["p"]).receive("p", FRAME, 0.0)[0][1].decode()
        except LearnerError as error:
            return str(error)


@pytest.mark.parametrize(
    "above",
    [
        "%matplotlib inline",
        "!ls -l",
        "names = !ls",
        "print?",
        "if True:\n    %time x = 1",
        "%%time",
        "  \n%%capture out",
        "left = (7\n% 4)\nassert left == 3",
    ],
)
def test_what_only_ipython_understands_is_left_out(above: str) -> None:
    with jailed(f"{above}\nclass LearningBridge:\n    def __init__(self, ports): pass\n") as jail:
        jail.make(["p"], ["p"])
        assert jail.errors == []


@pytest.mark.parametrize(
    "nonsense", ['{"sent": [[5]]}', '{"sent": [[null]]}', '{"sent": 1}', "[]", '{"sent": [[["p"]]]}', "{}"]
)
def test_nonsense_from_its_side_costs_the_check_and_nothing_else(nonsense: str) -> None:
    """The learner's code finds the channel, and says what it likes."""
    forged = repr(len(nonsense).to_bytes(4, "big") + nonsense.encode())
    source = f"""
import os
class LearningBridge:
    def __init__(self, ports): pass
    def receive(self, port, frame, now):
        for fd in range(3, 64):
            try:
                os.write(fd, {forged})
            except OSError:
                pass
        return []
"""
    with jailed(source) as jail, pytest.raises(LearnerError):
        jail.make(["p"], ["p"]).receive("p", FRAME, 0.0)


def test_it_has_no_network_but_a_loopback_that_is_its_own() -> None:
    assert answer("[name for _, name in socket.if_nameindex()]") == "['lo']"
    assert "Network is unreachable" in answer("socket.socket(2, 2).connect(('198.51.100.1', 9))")


def test_it_sees_no_processes_but_its_own() -> None:
    pids = answer("sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
    assert len(eval(pids)) <= 3


@pytest.mark.parametrize("path", ["/home", "/root", "/etc/passwd", "/var", "/run", str(Path(__file__).parent)])
def test_it_sees_none_of_the_machines_files(path: str) -> None:
    assert answer(f"os.path.exists({path!r})") == "False"


@pytest.mark.parametrize("path", ["/usr/x", "/jail/x", "/x", "/jail/podpath/packets.py", "/proc/sys/kernel/panic"])
def test_it_can_write_nowhere_that_lasts(path: str) -> None:
    assert "OSError" in answer(f"open({path!r}, 'w')") or "PermissionError" in answer(f"open({path!r}, 'w')")


def test_what_it_writes_to_its_own_tmp_is_small_and_gone() -> None:
    assert answer("open('/tmp/x', 'w').write('x' * 1000)") == "1000"
    assert "File too large" in answer("open('/tmp/x', 'wb').write(bytes(2 << 20))")
    assert answer("os.listdir('/tmp')") == "[]"


def test_it_knows_nothing_of_our_environment_or_files() -> None:
    os.environ["PODPATH_TEST_SECRET"] = "1"
    try:
        assert "SECRET" not in answer("dict(os.environ)")
    finally:
        del os.environ["PODPATH_TEST_SECRET"]
    assert "No module named 'grader'" in answer("__import__('grader')")
    links = answer("[os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if int(n) < 50]")
    assert str(Path(__file__).parent.parent) not in links


def test_it_has_no_capabilities_and_can_get_none() -> None:
    status = answer("[x for x in open('/proc/self/status') if x.startswith(('Cap', 'NoNewPrivs'))]")
    assert status.count("0000000000000000") == 5
    assert "NoNewPrivs:\\t1" in status
    for call in ("os.unshare(os.CLONE_NEWUSER)", "socket.socket(17, 3)", "os.chroot('/')"):
        assert "Error" in answer(call.replace("os.unshare(os.CLONE_NEWUSER)", _UNSHARE)), call


_UNSHARE = "subprocess.run(['unshare', '--user', 'true'], check=True)"


def test_it_cannot_take_all_the_memory() -> None:
    assert "MemoryError" in answer("bytearray(4 << 30)")


@pytest.mark.parametrize(
    "start",
    ["os.fork()", "os.posix_spawn('/bin/true', ['true'], {})", "subprocess.run(['true'])", "os.system('true')",
     "__import__('threading').Thread(target=print).start()", "__import__('multiprocessing').Process().start()"],
)  # fmt: skip
def test_it_can_start_no_processes_and_no_threads(start: str) -> None:
    said = answer(start)
    assert any(word in said for word in ("Operation not permitted", "can't start new thread", str(127 << 8))), said
    assert answer("len([name for name in os.listdir('/proc') if name.isdigit()])") == "2"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("while True: pass", "still running"),
        (
            "while True:\n            try:\n                while True: pass\n            except BaseException: pass",
            "still running",
        ),
        ("import time; time.sleep(1000)", "still running"),
        ("import os; os._exit(0)", "process ended"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "process ended"),
        ("import ctypes; ctypes.string_at(0)", "process ended"),
        ("return receive_forever(self)", "NameError"),
        ("raise SystemExit(0)", "called sys.exit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        (
            "import gc, sys\n        for o in gc.get_objects():\n            if type(o).__name__ == 'BufferedRWPair': o.write(b'x' * 99)",
            "nonsense",
        ),
        ("return [('p', b'x' * (9 << 20))]", "nonsense"),
    ],
)
def test_what_it_does_to_itself_is_said_and_the_next_check_gets_a_new_one(body: str, said: str) -> None:
    source = f"""
class LearningBridge:
    def __init__(self, ports): pass
    def receive(self, port, frame, now):
        if port == "p":
            return []
        {body}
"""
    with jailed(source) as jail:
        with pytest.raises(LearnerError) as caught:
            jail.make(["p", "q"], ["p", "q"]).receive("q", FRAME, 0.0)
        assert said in str(caught.value)
        assert jail.make(["p", "q"], ["p", "q"]).receive("p", FRAME, 0.0) == []


def test_a_bridge_of_a_jail_that_was_stopped_stays_stopped() -> None:
    with jailed(
        "class LearningBridge:\n  def __init__(self, p): pass\n  def receive(self, p, f, n):\n    while p == 'q': pass\n    return []"
    ) as jail:
        first = jail.make(["p"], ["p"])
        with pytest.raises(LearnerError):
            first.receive("q", FRAME, 0.0)
        jail.make(["p"], ["p"])
        with pytest.raises(LearnerError):
            first.receive("p", FRAME, 0.0)


def test_a_submission_has_a_time_for_all_it_does() -> None:
    with Jail(
        [Cell("c", "class LearningBridge:\n  def __init__(self, p):\n    while True: pass")], "LearningBridge", 3.0
    ) as jail:
        for said in ("still running", "still running", "time was used up", "time was used up"):
            with pytest.raises(LearnerError, match=said):
                jail.make(["p"], ["p"])


VALUES = """
from ipaddress import IPv4Address
def echo(*args, **kwargs): return args, kwargs
def draw(rng): return rng.random()
class Odd: pass
def odd(): return [Odd()]
class LearningBridge:
    def __init__(self, ports, rng=None): self.rng = rng
    def add(self, mac, address): self.table = {mac: address}
    def tables(self): return self.table
"""


def subjects() -> Iterator[Subject]:
    """The same program in a jail and in this process."""
    names: dict[str, Any] = {}
    exec(VALUES, names)
    yield InProcess(names, "LearningBridge")
    with jailed(VALUES) as jail:
        yield jail


def test_values_cross_the_wall_and_come_back_equal() -> None:
    route = Route(IPv4Network("10.0.0.0/8"), "eth0", IPv4Address("10.1.2.3"))
    values = [None, True, 3, 2.5, "é", b"\0\xff", range(3, 9), (1, [2, {b"k": IPv4Interface("10.0.0.1/8")}]), route]
    for subject in subjects():
        args, kwargs = subject.call("echo", *values, named=route)
        assert list(args) == values
        assert kwargs == {"named": route}
        assert subject.call("draw", Chance(7)) == random.Random(7).random()


ODD = {
    "odd": "of the class Odd",
    "none": "there is no function none",
    "ad": "no method ad; it has add",
    "add": "cannot be called as add(1)",
}


@pytest.mark.parametrize("asked", ODD)
def test_what_is_missing_or_odd_is_told_in_words(asked: str) -> None:
    for subject in subjects():
        made = subject.make(["a"], ["a"], rng=Chance(1))
        assert made.call("add", b"123456", IPv4Address("10.0.0.1")) is None
        assert made.call("tables") == {b"123456": IPv4Address("10.0.0.1")}
        with pytest.raises(LearnerError, match=re.escape(ODD[asked])):
            made.call(asked, 1) if asked.startswith("ad") else subject.call(asked)


@pytest.mark.parametrize("value", [{"x": 1}, {"bytes": "zz"}, {"Route": [1]}, {"tuple": 5}, {"Chance": {}}, {}])
def test_nonsense_for_a_value_is_no_value(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says, it is our word for nonsense
        decode(value)

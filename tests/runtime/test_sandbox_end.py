"""How a sandbox ends: by itself, by a signal, or with whoever made it. Nothing of it stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podpath import sandbox

PAUSE = "import signal; signal.pause()"
# Has a host of its own with a process in it, says which namespaces there are, then waits to be killed. The marker on
# the command lines tells these processes from all others.
LASTING = f"""
import os, signal, subprocess, sys
marker, report = sys.argv[1:]
subprocess.run(["ip", "netns", "add", "host"], check=True)
subprocess.run(["ip", "link", "add", "here", "type", "veth", "peer", "name", "eth0", "netns", "host"], check=True)
subprocess.Popen(["ip", "netns", "exec", "host", sys.executable, "-c", {PAUSE!r}, marker])
namespaces = [os.readlink(f"/proc/self/ns/{{kind}}") for kind in ("net", "mnt", "pid")]
namespaces.append(f"net:[{{os.stat('/run/netns/host').st_ino}}]")
with open(report + ".part", "w") as part:
    part.write(" ".join(namespaces))
os.rename(report + ".part", report)
signal.pause()
"""
MAKER = "import sys; from podpath import sandbox; sandbox.run([sys.executable, '-c', *sys.argv[1:]])"

Child = subprocess.Popen[bytes]
Members = set[tuple[int, int]]
Start = Callable[..., tuple[Child, Members]]
Gone = Callable[[Members], None]


@pytest.fixture
def lasting(marker: str, tmp_path: Path) -> list[str]:
    """What follows `python -c` for a program that lasts; the last is the file where it reports its namespaces."""
    return [LASTING, marker, str(tmp_path / "namespaces")]


@pytest.fixture
def start(lasting: list[str], wait_until: Callable[..., Any], members: Any) -> Iterator[Start]:
    """Start a command and wait until the lasting program in it has reported; the process, and who is in there."""
    started: list[Child] = []
    report = Path(lasting[-1])

    def run(argv: list[str], **options: Any) -> tuple[Child, Members]:
        started.append(subprocess.Popen(argv, **options))
        wait_until(report.exists, "the command in the sandbox is up")
        inside = members(set(report.read_text().split()))
        report.unlink()
        assert len(inside) >= 3  # the sandbox's first process, the command, and the one in its host
        return started[-1], inside

    yield run
    for one in started:
        one.kill()
        one.wait(30)


@pytest.fixture
def is_gone(marker: str, wait_until: Callable[..., Any], processes: Any, alive: Any) -> Gone:
    """Wait until no process has the marker, and of those who were in a sandbox none is left."""

    def check(inside: Members) -> None:
        wait_until(lambda: not processes(marker), "every process of the sandbox has ended")
        wait_until(lambda: not alive(inside), "nobody is left in the sandbox's namespaces")

    return check


# -- by itself


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_is_that_of_the_command(status: int) -> None:
    assert sandbox.run(["sh", "-c", f"exit {status}"])[0] == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGABRT])
def test_death_by_a_signal_is_told_as_a_shell_tells_it(number: signal.Signals) -> None:
    assert sandbox.run(["sh", "-c", f"ulimit -c 0; kill -{int(number)} $$"])[0] == 128 + number


def test_a_command_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert sandbox.run(["no-such-command"]) == (127, b"")
    assert capfd.readouterr().err == "podpath: cannot run no-such-command: No such file or directory\n"


def test_whoever_would_outlive_the_command_ends_with_it(marker: str, is_gone: Gone) -> None:
    script = 'setsid "$0" -c "$1" "$2" >/dev/null 2>&1 & echo started'
    assert sandbox.run(["sh", "-c", script, sys.executable, PAUSE, marker], timeout=30) == (0, b"started\n")
    is_gone(set())


def test_orphans_in_a_sandbox_are_reaped() -> None:
    script = "for i in 1 2 3; do (setsid true &) ; done; until ! ps ax -o stat | grep -q Z; do :; done; echo none"
    assert sandbox.run(["sh", "-c", script], timeout=30) == (0, b"none\n")


# -- by a signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_reaches_the_command_once(
    number: signal.Signals, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    ready = tmp_path / "ready"
    program = f"""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {{{int(number)}}})
open({str(ready)!r}, "w").close()
times = 0
while signal.sigtimedwait({{{int(number)}}}, 0.5 if times else 30):
    times += 1
raise SystemExit(40 + times)
"""
    with subprocess.Popen(sandbox.command([sys.executable, "-c", program]), start_new_session=True) as child:
        wait_until(ready.exists, "the command listens")
        os.killpg(child.pid, number)
        assert child.wait(60) == 41


def test_the_sandbox_does_not_end_before_the_command_has_answered(start: Start, lasting: list[str]) -> None:
    ignoring = [f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{lasting[0]}", *lasting[1:]]
    child, _ = start(sandbox.command([sys.executable, "-c", *ignoring]), start_new_session=True)
    os.killpg(child.pid, signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.3)


def test_after_its_timeout_a_sandbox_is_gone(lasting: list[str], is_gone: Gone) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        sandbox.run([sys.executable, "-c", *lasting], timeout=1)
    is_gone(set())


def test_a_sandbox_ends_when_its_outermost_process_is_killed(start: Start, lasting: list[str], is_gone: Gone) -> None:
    child, inside = start(sandbox.command([sys.executable, "-c", *lasting]))
    child.kill()
    is_gone(inside)


# -- with whoever made it


def test_a_sandbox_ends_with_its_lifeline(start: Start, lasting: list[str], is_gone: Gone) -> None:
    reading, writing = os.pipe()
    argv = sandbox.command([sys.executable, "-c", *lasting], reading)
    child, inside = start(argv, pass_fds=(reading,))
    os.close(reading)
    assert child.poll() is None
    os.close(writing)
    assert child.wait(30) == 128 + signal.SIGKILL
    is_gone(inside)


def test_a_sandbox_ends_when_its_maker_is_killed(start: Start, lasting: list[str], is_gone: Gone) -> None:
    maker, inside = start([sys.executable, "-c", MAKER, *lasting])
    maker.send_signal(signal.SIGKILL)
    is_gone(inside)


def test_the_command_does_not_hold_the_lifeline() -> None:
    reading, writing = os.pipe()
    argv = sandbox.command(["ls", "-l", "/proc/self/fd"], reading)
    done = subprocess.run(argv, pass_fds=(reading,), stdin=subprocess.DEVNULL, capture_output=True, check=True)
    pipe = os.readlink(f"/proc/self/fd/{reading}").encode()
    os.close(reading)
    os.close(writing)
    assert b" 1 -> pipe:" in done.stdout
    assert pipe not in done.stdout


def test_one_of_two_side_by_side_ends_and_the_other_goes_on(
    start: Start, lasting: list[str], wait_until: Callable[..., Any], alive: Any
) -> None:
    argv = sandbox.command([sys.executable, "-c", *lasting])
    (first, its), (second, others) = start(argv), start(argv)  # both have a host called "host"
    assert not its & others
    first.kill()
    wait_until(lambda: not alive(its), "the first is gone")
    assert alive(others) == others
    assert second.poll() is None

"""The jail of a lab whose code is root: over a network of its own, and over nothing of ours.

The checks look into it from outside, so all of this happens in a sandbox, as grading does.
"""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.check import LearnerError
from grader.jail import Cell, Jail
from grader.processes import Process, View, children, namespace

pytestmark = pytest.mark.sandboxed

SHELL = """
import os, subprocess, sys
class Pod:
    def __init__(self): pass
    def shell(self, line):
        done = subprocess.run(line, shell=True, stdin=-3, stdout=-1, stderr=-2, text=True, errors="replace")
        return done.stdout
    def start(self, line):
        return subprocess.Popen(line, shell=True, stdin=-3, stdout=-3, stderr=-3, start_new_session=True).pid
    def python(self, expression):
        try:
            return repr(eval(expression))
        except OSError as error:
            return str(error)
"""


def jailed(source: str = SHELL) -> Jail:
    return Jail([Cell("the cell", source)], "Pod", privileged=True)


def says(*lines: str) -> list[str]:
    """What each command says, in one jail."""
    with jailed() as jail:
        pod = jail.make([])
        return [str(pod.call("shell", line)).strip() for line in lines]


def test_it_is_root_over_a_network_of_its_own() -> None:
    who, links, made = says(
        "id --user; cat /proc/self/uid_map",
        "ip -brief link",
        "ip link add left type veth peer name right && ls /proc/sys/net",
    )
    assert who.splitlines()[0] == "0"
    assert links.split()[:2] == ["lo", "UNKNOWN"]
    assert len(links.splitlines()) == 1
    assert "ipv4" in made
    assert subprocess.run(["ip", "link", "show", "left"], capture_output=True).returncode != 0


@pytest.mark.parametrize(
    "line",
    [
        "unshare --net ip link set lo up && echo done",
        "ip netns add x && ip netns exec x ip link set lo up && ip netns delete x && echo done",
        "unshare --net sleep 10 & sleep 0.2; nsenter --target $! --net ip link set lo up && echo done; kill $!",
        "unshare --net --pid --fork --kill-child ip link && echo done",
        "unshare --user --map-root-user --net ip link set lo up && echo done",
        "mount -t tmpfs none /tmp && echo done",
        "hostname elsewhere && echo done",
    ],
)
def test_it_can_do_there_what_the_lab_asks_for(line: str) -> None:
    assert says(line)[0].endswith("done")


def test_it_is_not_in_any_namespace_of_ours() -> None:
    with jailed() as jail:
        home = jail.home()
        for kind in ("net", "mnt", "pid", "uts", "ipc", "user"):
            assert os.readlink(f"/proc/{home}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind


def test_it_sees_and_signals_no_process_of_ours() -> None:
    with jailed() as jail:
        pod = jail.make([])
        seen = pod.call("python", "sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
        assert len(eval(seen)) <= 3
        victim = subprocess.Popen(["sleep", "1000"])
        try:
            pod.call("shell", f"kill -9 {victim.pid}; kill -9 1")
            assert victim.poll() is None
            assert pod.call("python", "1") == "1"
            pod.call("start", "sleep 0.1; kill -9 -1")
            assert victim.poll() is None
        finally:
            victim.kill()
            victim.wait()


@pytest.mark.parametrize("path", ["/home", "/root", "/etc/passwd", "/var", "/work", str(Path(__file__).parent)])
def test_it_sees_none_of_the_machines_files(path: str) -> None:
    with jailed() as jail:
        assert jail.make([]).call("python", f"os.path.exists({path!r})") == "False"


@pytest.mark.parametrize(
    "line",
    [
        "touch /usr/x",
        "mount -o remount,rw,bind /usr && touch /usr/x",
        "mount -o remount,rw / && touch /x",
        "umount -l /usr && touch /usr/x",
        "umount /proc/sys && echo 1 > /proc/sys/kernel/panic",
        "mount --bind /tmp /usr/share && umount /usr && touch /usr/x",
        "echo core > /proc/sys/kernel/core_pattern",
        "echo 0 > /proc/sys/kernel/panic",
        "echo h > /proc/sysrq-trigger",
        "mount -t proc none /tmp && echo core > /tmp/sys/kernel/core_pattern",
        "unshare --pid --fork --mount-proc sh -c 'echo core > /proc/sys/kernel/core_pattern'",
        "mount -t sysfs none /tmp && echo mem > /tmp/power/state",
        "echo test > /sys/power/disk",
        "mknod /tmp/disk b 254 0 && cat /tmp/disk > /dev/null",
        "mount /dev/vda /tmp",
        "mount -t cgroup2 none /tmp && mkdir /tmp/x",
        "date --set 2000-01-01",
        "modprobe dummy",
        "chroot /proc/1/root ls /home",
        "dmesg --clear",
    ],
)
def test_what_only_the_machines_own_root_may_do_is_refused(line: str) -> None:
    with jailed() as jail:
        pod = jail.make([])
        assert pod.call("shell", f"({line}) && echo it could").count("it could") == 0
        for path in ("/usr/x", "/x", "/usr/share/x"):
            assert not Path(path).exists()


def test_what_it_mounts_is_seen_by_nobody_else() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    with jailed() as jail:
        pod = jail.make([])
        assert (
            pod.call(
                "shell", "mount -t tmpfs none /tmp && touch /tmp/x && mount --bind /tmp /usr/share && ls /usr/share"
            ).strip()
            == "x"
        )
        assert Path("/proc/self/mountinfo").read_text() == before
        assert len(os.listdir("/usr/share")) > 1


def test_its_address_is_nobody_elses() -> None:
    """It may give itself any address; packets to it go no further than its own network."""
    with jailed() as jail:
        pod = jail.make([])
        pod.call("shell", "ip address add 198.51.100.1/24 dev lo")
        assert "198.51.100.1" not in subprocess.run(["ip", "address"], capture_output=True, text=True).stdout


def test_its_files_are_limited() -> None:
    said, left = says("head -c 100000000 /dev/zero > /tmp/a; ls -l /tmp", "df /tmp")
    assert all(int(line.split()[4]) <= 1 << 20 for line in said.splitlines() if line.startswith("-"))
    assert left.splitlines()[1].split()[1] == "65536"


def test_everything_in_it_dies_with_it(
    marker: str, processes: Callable[[str], object], wait_until: Callable[..., object]
) -> None:
    hardy = f"trap '' TERM HUP INT; : {marker}; while :; do sleep 1000; done"
    with jailed() as jail:
        pod = jail.make([])
        for before in ("", "unshare --net ", "unshare --net --mount --pid --fork "):
            pod.call("start", f'{before}setsid sh -c "{hardy}"')
        wait_until(lambda: processes(marker), "they start")
        net = namespace(jail.home())
    wait_until(lambda: not processes(marker), "a process outlives its jail")
    wait_until(
        lambda: not any(namespace(int(p)) == net for p in os.listdir("/proc") if p.isdigit()), "its network lives on"
    )


def test_it_dies_when_the_checker_is_killed(
    marker: str, processes: Callable[[str], object], wait_until: Callable[..., object]
) -> None:
    child = os.fork()
    if child == 0:
        jailed().make([]).call("start", f"sleep 1000; : {marker}")
        os.kill(os.getpid(), signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    assert processes(marker)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    wait_until(lambda: not processes(marker), "a process outlives the checker")


NO_DEATH_SIGNAL = """
import ctypes, os, subprocess, sys
class Pod:
    def __init__(self): pass
    def disarm(self):
        # What a root may do to the first process in here: make its memory ours, and have it call prctl(1, 0).
        return ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0)
"""


def test_it_dies_even_if_it_holds_its_first_process(wait_until: Callable[..., object]) -> None:
    with jailed(NO_DEATH_SIGNAL) as jail:
        assert jail.make([]).call("disarm") == 0
        home = jail.home()
    wait_until(lambda: not Path(f"/proc/{home}").exists(), "the jail lives on")


def test_a_fork_bomb_is_over_with_the_jail(
    marker: str, processes: Callable[[str], object], wait_until: Callable[..., object]
) -> None:
    bomb = f"""
import subprocess, time
class Pod:
    def __init__(self): pass
    def go(self):
        program = "import os, time\\nfor _ in range(7): os.fork()\\ntime.sleep(1000)"
        subprocess.Popen(["python3", "-c", program, "{marker}"])
        while True:
            time.sleep(1)
"""
    with jailed(bomb) as jail, pytest.raises(LearnerError, match="still running"):
        jail.make([]).call("go")
    wait_until(lambda: not processes(marker), "the bomb goes on")


def test_the_number_of_its_processes_is_limited() -> None:
    """The kernel sets no such limit to the machine's own root, whom we may be."""
    with jailed() as jail:
        pod = jail.make([])
        assert pod.call("python", "__import__('resource').getrlimit(6)") == "(256, 256)"
        assert "not allowed" in pod.call("shell", "python3 -c 'import resource; resource.setrlimit(6, (512, 512))'")


def test_its_processes_are_found_from_outside_by_the_numbers_that_it_knows(wait_until: Callable[..., object]) -> None:
    with jailed() as jail:
        pod = jail.make([])
        inner = pod.call("start", "exec unshare --net sleep 1000")
        view = View(jail.home())
        wait_until(lambda: (one := view.process(inner)) and one.argv == ("sleep", "1000"), "it runs")
        found = view.process(inner)
        assert found is not None
        assert found.numbers == (found.pid, inner)
        assert found.net not in (namespace(jail.home()), namespace(os.getpid()))
        assert os.getpid() not in {process.pid for process in view.all().values()}
        assert found.runs
        os.kill(found.pid, signal.SIGKILL)
        assert (killed := Process.read(found.pid)) is None or not killed.runs  # though it may not have ended yet
        wait_until(lambda: (one := view.process(inner)) is None or one.ended, "it ends")


def test_the_learners_process_is_told_from_those_that_lose_their_parent(wait_until: Callable[..., object]) -> None:
    with jailed() as jail:
        pod = jail.make([])
        home = jail.home()
        pod.call("shell", "setsid sleep 1000 > /dev/null 2>&1 & setsid sleep 1000 > /dev/null 2>&1 &")
        (first,) = children(jail._process.pid)
        wait_until(lambda: len(children(first.pid)) == 3, "they have lost it")
        assert jail.home() == home


def test_when_its_process_has_ended_it_has_no_home() -> None:
    with jailed("class Pod:\n  def __init__(self): pass\n  def die(self):\n    import os\n    os._exit(0)") as jail:
        pod = jail.make([])
        with pytest.raises(LearnerError):
            pod.call("die")
        assert View(jail.home()).all()  # a new one

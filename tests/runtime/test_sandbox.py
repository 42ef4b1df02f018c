"""The sandbox from within: what a command finds there, and that the machine around it stays as it is."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from podpath import sandbox
from podpath.sandbox import NoSandbox


def in_sandbox(program: str) -> tuple[int, str]:
    code, output = sandbox.run([sys.executable, "-c", program])
    return code, output.decode()


def test_a_command_has_a_network_of_its_own_with_nothing_but_loopback_up() -> None:
    program = "import os, socket; print(os.listdir('/sys/class/net'), os.readlink('/proc/self/ns/net'))\n"
    program += "server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname(), 5)"
    code, output = in_sandbox(program)
    assert code == 0
    assert output.startswith("['lo'] net:[")
    assert os.readlink("/proc/self/ns/net") not in output


def test_a_command_is_root_and_sees_its_own_processes_only() -> None:
    program = "import os; print(os.geteuid(), os.getppid(), *[pid for pid in os.listdir('/proc') if pid.isdigit()])"
    code, output = in_sandbox(program)
    uid, parent, *pids = output.split()
    assert (code, uid, parent) == (0, "0", "1")
    assert len(pids) == 2  # the sandbox's first process, and the command


def test_a_command_knows_that_it_is_in_a_sandbox() -> None:
    assert in_sandbox("from podpath import sandbox; print(sandbox.inside())") == (0, "True\n")


def test_named_namespaces_work_and_links_between_them_too() -> None:
    script = """set -e
    ip netns add host
    ip link add here type veth peer name eth0 netns host
    ip netns exec host ip -brief link show eth0
    ip netns list"""
    code, output = sandbox.run(["sh", "-c", script])
    assert code == 0
    assert [line.split()[0].partition(b"@")[0] for line in output.splitlines()] == [b"eth0", b"host"]


def test_packet_filter_rules_can_be_made() -> None:
    assert sandbox.run(["nft", "add table ip t"]) == (0, b"")


def test_what_is_written_to_a_command_arrives_and_what_it_writes_comes_back() -> None:
    assert sandbox.run(["cat"], input=b"\x00\xffbytes") == (0, b"\x00\xffbytes")


def test_a_command_may_make_a_sandbox_of_its_own() -> None:
    program = "import sys; from podpath import sandbox; print(sandbox.run(['sh', '-c', 'echo deep; exit 3']))"
    assert in_sandbox(program) == (0, "(3, b'deep\\n')\n")


# -- the machine around it


def test_the_machines_own_interfaces_stay_as_they_are() -> None:
    before = socket.if_nameindex()
    script = "set -e; ip link add podpathtest0 type veth peer name podpathtest1; ip link set lo down; ip -o link"
    code, output = sandbox.run(["sh", "-c", script])
    assert (code, b"podpathtest0" in output) == (0, True)
    assert socket.if_nameindex() == before
    with socket.create_server(("127.0.0.1", 0)) as server:  # our loopback is up still
        socket.create_connection(server.getsockname(), 5).close()


def test_named_namespaces_of_a_sandbox_are_not_the_machines(marker: str) -> None:
    code, output = sandbox.run(["sh", "-c", f"ip netns add {marker} && ls /run/netns"])
    assert (code, output.decode().strip()) == (0, marker)
    assert not Path("/run/netns", marker).exists()


def test_files_are_the_machines(tmp_path: Path) -> None:
    assert in_sandbox(f"open({str(tmp_path / 'note')!r}, 'w').write('hello')") == (0, "")
    assert (tmp_path / "note").read_text() == "hello"


# -- machines that refuse


@pytest.fixture
def unshare() -> Iterator[Callable[[], tuple[str, ...]]]:
    """How a sandbox is made, asked anew."""
    sandbox._unshare.cache_clear()
    yield sandbox._unshare
    sandbox._unshare.cache_clear()


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that refuses namespaces; its /proc/sys."""
    refusal = subprocess.CompletedProcess([], 1, "", "unshare: unshare failed: Operation not permitted\n")
    monkeypatch.setattr(sandbox.subprocess, "run", lambda *_, **__: refusal)
    monkeypatch.setattr(sandbox, "Path", lambda _: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "refuses", "remedy"),
    [
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=10000"),
    ],
)
def test_the_setting_that_refuses_is_named_with_its_remedy(
    refusing: Path, unshare: Callable[[], object], name: str, refuses: str, remedy: str
) -> None:
    (refusing / name).parent.mkdir()
    (refusing / name).write_text(f"{refuses}\n")
    with pytest.raises(NoSandbox) as refused:
        unshare()
    assert "does not allow a sandbox (unshare: unshare failed: Operation not permitted)" in str(refused.value)
    assert remedy in str(refused.value)


def test_where_no_setting_refuses_it_is_the_container(refusing: Path, unshare: Callable[[], object]) -> None:
    with pytest.raises(NoSandbox, match="start it with --privileged"):
        unshare()


def test_without_the_program_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unshare: Callable[[], object]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSandbox, match="apt-get install util-linux"):
        unshare()

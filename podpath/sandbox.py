"""The sandbox: fresh user, network, mount and pid namespaces for one lab.

`command` wraps a command so that it runs in one. Inside, the caller is root over a network of its own and of nothing
else; nothing of the machine's network is touched, and names never clash with those of other labs. When the command
ends, or is killed, or whoever holds the lifeline is gone, the kernel ends every process in the sandbox and with them
every host, link and namespace: there is nothing to clean up.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_INIT = Path(__file__).with_name("sandbox_init.py")
_NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
_USER = ("--user", "--map-root-user")

MARK = "PODPATH_SANDBOX"  # in the environment of everything that runs in a sandbox


class NoSandbox(RuntimeError):
    """This machine does not let us make a sandbox; the text says what to do about it."""


def inside() -> bool:
    """Whether this process runs in a sandbox."""
    return MARK in os.environ


def command(argv: Sequence[str], lifeline: int | None = None, litter: str = "") -> list[str]:
    """`argv` as a command that runs in a sandbox of its own.

    `lifeline` is the read end of a pipe that the command inherits: when its other end is closed, by whatever kind of
    death, the sandbox ends, and takes the folder `litter` along. Raises NoSandbox where this machine refuses one.
    """
    fd = "-" if lifeline is None else str(lifeline)
    return [*_unshare(), "--", sys.executable, "-I", "-S", str(_INIT), f"{fd}:{litter}", *argv]


def run(argv: Sequence[str], *, input: bytes = b"", timeout: float | None = None) -> tuple[int, bytes]:
    """Run `argv` in a sandbox, to its end: exit status and what it wrote to stdout. Its stderr is ours.

    Should this process die, by whatever means, the sandbox goes with it. Raises subprocess.TimeoutExpired after
    `timeout` seconds, when the sandbox is gone as well.
    """
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            command(argv, reading), input=input, stdout=subprocess.PIPE, pass_fds=(reading,), timeout=timeout
        )
    finally:
        os.close(reading)
        os.close(writing)
    return done.returncode, done.stdout


@cache
def _unshare() -> tuple[str, ...]:
    """How a sandbox is made here: with a user namespace where possible, as real root without one otherwise."""
    tries: list[tuple[str, ...]] = [("unshare", *_USER, *_NAMESPACES)]
    if os.geteuid() == 0:
        tries.append(("unshare", *_NAMESPACES))
    said = ""
    for attempt in tries:
        try:
            done = subprocess.run([*attempt, "true"], capture_output=True, text=True)
        except FileNotFoundError:
            raise NoSandbox("the program unshare is missing: apt-get install util-linux") from None
        if done.returncode == 0:
            return attempt
        said = said or done.stderr.strip()
    raise NoSandbox(f"this machine does not allow a sandbox ({said}). {_remedy()}")


def _remedy() -> str:
    """Which setting refuses us, and the one command that allows it."""
    switches = (
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu 24.04
        ("kernel/unprivileged_userns_clone", "0", "1"),  # Debian before 11
        ("user/max_user_namespaces", "0", "10000"),
    )
    for name, refusing, allowing in switches:
        path = Path("/proc/sys") / name
        if path.exists() and path.read_text().strip() == refusing:
            key = name.replace("/", ".")
            return f"{key} is {refusing}; allow it with: sudo sysctl -w {key}={allowing}"
    return (
        "In a container, start it with --privileged, or with --security-opt seccomp=unconfined "
        "--security-opt systempaths=unconfined --security-opt apparmor=unconfined."
    )

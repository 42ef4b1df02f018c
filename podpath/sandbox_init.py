"""The first process of a sandbox (its pid 1): prepares it, starts the command, and ends when the command ends.

Run as a script, with the standard library alone, so that it is up in a few milliseconds:
`sandbox_init.py LIFELINE COMMAND...`, where LIFELINE is the number of a pipe's read end, or `-`.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PROCESSES = "8192"  # that a sandbox may hold: enough for hundreds of hosts, and nothing to the machine
MS_BIND, MS_REC = 0x1000, 0x4000


def mount(source: str, target: str, kind: str | None, flags: int = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    encoded = (source.encode(), target.encode(), None if kind is None else kind.encode())
    return bool(libc.mount(*encoded, ctypes.c_ulong(flags), None) == 0)


def prepare() -> None:
    """A /run of our own, so that `ip netns` keeps its names there; /sys that shows our network; loopback up."""
    users = os.open("/run/user", os.O_PATH) if os.path.isdir("/run/user") else None
    if not mount("tmpfs", "/run", "tmpfs"):
        sys.exit("podpath: cannot mount a /run of its own in the sandbox")
    Path("/run/netns").mkdir()
    if users is not None:  # the desktop's sockets, and Jupyter's runtime folder on some machines
        Path("/run/user").mkdir()
        mount(f"/proc/self/fd/{users}", "/run/user", None, MS_BIND | MS_REC)
        os.close(users)
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 14):  # before, the number would be the machine's
        with contextlib.suppress(OSError):  # in a jail it cannot be written; there, the sandbox around it has a limit
            Path("/proc/sys/kernel/pid_max").write_text(PROCESSES)
    mount("sysfs", "/sys", "sysfs")  # refused in some containers; only /sys/class/net would be missed
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def start(argv: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.environ["PODPATH_SANDBOX"] = "1"
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"podpath: cannot run {argv[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127)


def watch(child: int, lifeline: int | None, litter: str) -> int:
    """Reap whoever ends, until it is the command itself or the lifeline is cut. The status to exit with."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = [woken] if lifeline is None else [woken, lifeline]
    while True:
        while True:  # a SIGCHLD may stand for many, and one may have come before we listened
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break
        ready = select.select(waiting, [], [])[0]
        if lifeline in ready and not os.read(lifeline or 0, 1):
            if litter:  # whoever made us is gone, and cannot tidy up
                shutil.rmtree(litter, ignore_errors=True)
            return 128 + signal.SIGKILL
        if woken in ready:
            os.read(woken, 4096)


def main() -> int:
    fd, _, litter = sys.argv[1].partition(":")
    lifeline = None if fd == "-" else int(fd)
    if lifeline is not None:
        os.set_inheritable(lifeline, False)  # the command must not hold on to it
    # Jupyter and terminals signal the whole group; the command decides what that means, we stay.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # nft and brctl, to users
    prepare()
    child = start(sys.argv[2:])
    return watch(child, lifeline, litter)


if __name__ == "__main__":
    sys.exit(main())

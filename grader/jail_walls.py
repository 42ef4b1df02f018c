"""The walls of the jail, looked at from inside, before anything of the learner's has been let in.

Each promise that the grading rests on is tried, not looked up: a kernel, a container around us or a security module may
all see to it that a wall is not where we put it. `jail_child.py` imports this in the jail; it needs nothing of ours.
"""

import os
import resource
import socket
from pathlib import Path

_TMP = 128 << 20  # bytes that /tmp may hold at most


def lacking(privileged: bool = False) -> list[str]:
    """What does not hold here, each as the end of a sentence that begins with "in the jail". None is as it should be.

    In a `privileged` one there are processes, and there is power, over what is in there.
    """
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    capabilities = {status.get(f"Cap{kind}") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    found = {
        "there are capabilities": not privileged and capabilities != {"0" * 16},
        "setuid programs have an effect": status.get("NoNewPrivs") != "1",
        "no system calls are refused (seccomp)": status.get("Seccomp") != "2",
        "processes can be started": not privileged and _can_fork(),
        "processes of the machine can be seen": sum(name.isdigit() for name in os.listdir("/proc")) > 4,
        "there is a network": [name for _, name in socket.if_nameindex()] not in ([], ["lo"]),
        "files can be written outside /tmp": any(_can_write(path) for path in ("/", "/usr", "/dev", "/dev/shm")),
        "/tmp has no limit": _size("/tmp") > _TMP,
        "the kernel's parameters can be written": os.access("/proc/sys/kernel/core_pattern", os.W_OK),
        "there is no limit on memory": resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY,
        "there is no limit on time": resource.getrlimit(resource.RLIMIT_CPU)[1] == resource.RLIM_INFINITY,
    }
    return [what for what, holds in found.items() if holds]


def _can_fork() -> bool:
    try:
        child = os.fork()
    except OSError:
        return False
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return True


def _can_write(folder: str) -> bool:
    try:
        os.close(os.open(f"{folder}/wall", os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(f"{folder}/wall")
    except OSError:
        return False
    return True


def _size(folder: str) -> int:
    told = os.statvfs(folder)
    return told.f_blocks * told.f_frsize

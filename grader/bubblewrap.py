"""The walls of the jail: what a learner's process is started in, by bubblewrap.

There are two set-ups. In the one, a program has no power over anything. In the other, for a lab whose very subject is
namespaces, it is root over a network, mounts and host name of its own, as the notebook's kernel is in its sandbox; but
not over what bubblewrap has mounted: that belongs to the user namespace around its own, and the kernel locks it.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
_PURE = (
    "__init__.py",
    "bench.py",
    "configuration.py",
    "datapath.py",
    "errors.py",
    "headers.py",
    "layers.py",
    "packets.py",
    "streams.py",
    "values.py",
)  # what learners may import there
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MEMORY = 64 << 20  # bytes that files in /tmp may take
PYTHON = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def command(fd: int, sockets: int, calls: int, privileged: bool = False) -> list[str]:
    """`jail_child.py` as a command that runs in the jail and talks over `fd`; if `privileged`, as root in there.

    `sockets` is a unix socket over which it is handed others, `calls` a file with the filter of system calls.
    """
    # -I would keep the script's own folder off the path; this is what it stands for, without that.
    python = [PYTHON, "-s", "-S"]
    child = [*python, "/jail/jail_child.py", str(fd), str(sockets)]
    if not privileged:
        return [*_machine(calls), "--disable-userns", "--remount-ro", "/", "--", *child]
    first = [*_BECOME_ROOT, *python, "/jail/sandbox_init.py", "-:"]
    return [*_machine(calls), *_ROOM_FOR_ROOT, "--remount-ro", "/", "--", *first, *child]


def _machine(calls: int) -> list[str]:
    """An empty machine with Python in it, and with the pure part of podpath, all read-only.

    /proc/sys is so too: where root does the grading, the kernel takes the learner's process for root as well, and
    parameters of the whole machine are there to be written by root, whatever its capabilities.
    """
    argv = [
        "bwrap", "--seccomp", str(calls), "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--clearenv", "--hostname", "jail", "--setenv", "PYTHONDONTWRITEBYTECODE", "1",
        "--setenv", "PYTHONHASHSEED", "0",  # sets have the same order every time, and reports say the same
        "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--remount-ro", "/dev",
        "--size", str(_MEMORY), "--tmpfs", "/tmp", "--chdir", "/tmp",
    ]  # fmt: skip
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/") / name
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            argv += ["--ro-bind", str(path), str(path)]
    if not sys.base_prefix.startswith("/usr"):
        argv += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    for name in _PURE:
        argv += ["--ro-bind", str(_HERE.parent / "podpath" / name), f"/jail/podpath/{name}"]
    for name in ("jail_child.py", "jail_walls.py"):
        argv += ["--ro-bind", str(_HERE / name), f"/jail/{name}"]
    return argv


# The first process is the same as in the notebook's sandbox, so that learners find the same world in both. `ip netns`
# gives whom it starts a /sys of their own, which the kernel allows only where there is one already. And a user other
# than 0 can be mapped to 0 in a namespace below without any capability.
_ROOM_FOR_ROOT = [
    "--as-pid-1", "--uid", "1000", "--gid", "1000", "--setenv", "PATH", _PATH,
    "--dir", "/run", "--ro-bind", "/sys", "/sys",
    "--ro-bind", str(_HERE.parent / "podpath/sandbox_init.py"), "/jail/sandbox_init.py",
]  # fmt: skip
_BECOME_ROOT = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--uts", "--ipc", "--"]

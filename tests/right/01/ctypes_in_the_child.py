"""Calls unshare() and setns() itself, in the new process, between fork and exec."""

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def done(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def leave() -> None:
    done(libc.unshare(CLONE_NEWNET))
    os.system("ip link set lo up")


class Pod:
    def __init__(self, name: str) -> None:
        self.name, self.alive = name, False

    def start(self) -> int:
        # Popen returns when exec has happened, so all of `leave` has, too.
        self.pause = subprocess.Popen(["sleep", "infinity"], preexec_fn=leave)
        self.net = os.open(f"/proc/{self.pause.pid}/ns/net", os.O_RDONLY)
        self.all: dict[int, tuple[subprocess.Popen, object]] = {}
        self.alive = True
        return self.pause.pid

    def _popen(self, argv, **kwargs):
        net = self.net
        return subprocess.Popen(argv, preexec_fn=lambda: done(libc.setns(net, CLONE_NEWNET)), **kwargs)

    def add(self, argv):
        if not self.alive or self.pause.poll() is not None:
            raise RuntimeError("not running")
        log = tempfile.NamedTemporaryFile()  # noqa: SIM115
        with open(log.name, "ab") as out:
            process = self._popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.all[process.pid] = (process, log)
        return process.pid

    def logs(self, pid):
        with open(self.all[pid][1].name, errors="backslashreplace") as file:
            return file.read()

    def connect(self, address, gateway):
        net, name = f"/proc/{self.pause.pid}/ns/net", f"h{os.fstat(self.net).st_ino}"
        assert os.path.exists(net)
        os.system(f"ip link add {name} type veth peer name eth0 netns {self.pause.pid}")
        os.system(f"ip addr add {gateway}/{address.network.prefixlen} dev {name} && ip link set {name} up")
        for line in (f"addr add {address} dev eth0", "link set eth0 up", f"route add default via {gateway} dev eth0"):
            assert self._popen(["ip", *line.split()]).wait() == 0

    def sync(self):
        if self.alive and self.pause.poll() is not None:
            self.stop()
        return [pid for pid, (process, _) in self.all.items() if process.poll() is None] if self.alive else []

    def stop(self):
        if not self.alive:
            return
        self.alive = False
        mine = os.fstat(self.net)
        found = True
        while found:
            found = False
            for name in filter(str.isdigit, os.listdir("/proc")):
                with suppress(OSError):
                    if os.path.samestat(os.stat(f"/proc/{name}/ns/net"), mine):
                        os.kill(int(name), signal.SIGKILL)
                        found = True
            time.sleep(0.005)
        for process, log in self.all.values():
            process.wait()
            log.close()
        self.pause.wait()
        os.close(self.net)

"""Each pod has a user namespace around its network namespace, as rootless containers do."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress


class Pod:
    def __init__(self, name):
        self.name, self.pause, self.logged, self.there = name, None, {}, []

    def start(self):
        command = "ip link set lo up; echo; exec sleep infinity"
        self.pause = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", command], stdout=subprocess.PIPE
        )
        self.pause.stdout.read(1)
        self.pause.stdout.close()
        self.net = os.open(f"/proc/{self.pause.pid}/ns/net", os.O_RDONLY)
        return self.pause.pid

    def enter(self, *argv):
        return ["nsenter", "-t", str(self.pause.pid), "--user", "--preserve-credentials", "--net", *argv]

    def add(self, argv):
        if not self.pause or self.pause.poll() is not None:
            raise LookupError("no pod")
        fd, path = tempfile.mkstemp()
        process = subprocess.Popen(self.enter(*argv), stdout=fd, stderr=fd, stdin=subprocess.DEVNULL)
        os.close(fd)
        self.there.append(process)
        self.logged[process.pid] = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
        os.unlink(path)
        return process.pid

    def logs(self, pid):
        self.logged[pid].seek(0)
        return self.logged[pid].read()

    def connect(self, address, gateway):
        host = f"u{self.pause.pid}"
        ip = [
            ["ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", str(self.pause.pid)],
            ["ip", "address", "add", f"{gateway}/{address.with_prefixlen.split('/')[1]}", "dev", host],
            ["ip", "link", "set", host, "up"],
            self.enter("ip", "address", "add", address.with_prefixlen, "dev", "eth0"),
            self.enter("ip", "link", "set", "eth0", "up"),
            self.enter("ip", "route", "add", "default", "via", format(gateway)),
        ]
        for command in ip:
            subprocess.check_output(command)

    def sync(self):
        if self.pause and self.pause.poll() is not None:
            self.stop()
        self.there = [one for one in self.there if one.poll() is None]
        return [one.pid for one in self.there]

    def stop(self):
        if not self.pause:
            return
        own = os.readlink(f"/proc/self/fd/{self.net}")
        for _ in range(300):
            pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and self.net_of(p) == own]
            if not pids:
                break
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        for one in [self.pause, *self.there]:
            one.wait()
        os.close(self.net)
        self.pause, self.there = None, []

    def net_of(self, pid):
        try:
            return os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            return ""

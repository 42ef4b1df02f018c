"""Has `ip netns` keep the namespace under a name, and enter it."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Pod:
    count = 0

    def __init__(self, name):
        self.name = name
        self.up = False
        self.processes = {}
        self.files = {}

    def start(self):
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        self.pause = subprocess.Popen(["ip", "netns", "exec", self.name, "sleep", "infinity"])
        while str(self.pause.pid) not in self.members():
            time.sleep(0.002)
        self.up = True
        return self.pause.pid

    def members(self):
        return run("ip", "netns", "pids", self.name).split()

    def add(self, argv):
        if not self.up or self.pause.poll() is not None:
            raise RuntimeError(f"{self.name} does not run")
        self.files[None] = file = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *argv], stdout=file, stderr=file, stdin=-3)
        self.processes[process.pid] = process
        self.files[process.pid] = file
        return process.pid

    def logs(self, pid):
        with open(f"/proc/self/fd/{self.files[pid].fileno()}", "rb") as again:
            return str(again.read(), "latin-1")

    def connect(self, address, gateway):
        Pod.count += 1
        host = f"pod{Pod.count}"
        run("ip", "link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "name", host)
        run("ip", "-n", self.name, "addr", "add", str(address), "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")
        run("ip", "addr", "add", f"{gateway}/{address.network.prefixlen}", "dev", host)
        run("ip", "link", "set", host, "up")
        run("ip", "-n", self.name, "route", "add", "default", "via", str(gateway))

    def sync(self):
        if self.up and self.pause.poll() is not None:
            self.stop()
        for pid in list(self.processes):
            if self.processes[pid].poll() is not None:
                del self.processes[pid]
        return sorted(self.processes)

    def stop(self):
        if self.up:
            self.up = False
            while pids := self.members():
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.002)
            self.pause.wait()
            for process in self.processes.values():
                process.wait()
            self.processes.clear()
            run("ip", "netns", "delete", self.name)

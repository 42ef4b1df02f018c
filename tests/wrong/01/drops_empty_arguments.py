"""Drops arguments that are empty.

caught-by: arguments
says: Hand the list on as it is
"""

import contextlib
import os
import signal
import subprocess
import time


class Pod:
    """Processes that share one network namespace."""

    def __init__(self, name):
        self.name = name
        self.pause = None  # the pause process, once there is one
        self.containers = {}  # what you remember about the containers; its shape is up to you

    def start(self):
        """Start the pause process in a new network namespace, with its loopback up. Return its pid."""
        self.pause = subprocess.Popen(["unshare", "--net", "--", "sleep", "infinity"])
        path = f"/proc/{self.pause.pid}/ns/net"
        while os.readlink(path) == os.readlink("/proc/self/ns/net"):
            time.sleep(0.001)
        self.net = os.open(path, os.O_RDONLY)  # while it is open, no other namespace gets its number
        self.written = {}  # by pid, also of containers that have ended
        self.inside("ip", "link", "set", "lo", "up")
        return self.pause.pid

    def inside(self, *command):
        """Run a command in the pod's namespace, to its end."""
        subprocess.run(self.joining(command), check=True)

    def joining(self, command):
        return ["nsenter", f"--net=/proc/{self.pause.pid}/ns/net", "--", *command]

    def running(self):
        return self.pause is not None and self.pause.poll() is None

    def add(self, argv):
        """Start a container: a process in the pod's namespace that runs the command `argv`. Return its pid."""
        if not self.running():
            raise RuntimeError(f"pod {self.name} is not running")
        log = os.memfd_create("log")  # a file in memory, which has no name
        container = subprocess.Popen(
            self.joining([word for word in argv if word]), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        self.containers[container.pid] = container
        self.written[container.pid] = log
        return container.pid

    def logs(self, pid):
        """What the container `pid` has written so far, to its standard output and its standard error, as text."""
        log = self.written[pid]
        return os.pread(log, os.fstat(log).st_size, 0).decode(errors="replace")

    def connect(self, address, gateway):
        """Give the pod an interface eth0 with `address`; the host's end of the cable has the address `gateway`."""
        pid = self.pause.pid
        host = f"veth{pid}"
        on_host = [
            ["ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", str(pid)],
            ["ip", "address", "add", f"{gateway}/{address.network.prefixlen}", "dev", host],
            ["ip", "link", "set", host, "up"],
        ]
        for command in on_host:
            subprocess.run(command, check=True)
        self.inside("ip", "address", "add", str(address), "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "route", "add", "default", "via", str(gateway))

    def sync(self):
        """See what has become of the pod, and put it right. Return the list of the pids of running containers."""
        if not self.running():
            self.stop()
        self.containers = {pid: one for pid, one in self.containers.items() if one.poll() is None}
        return list(self.containers)

    def stop(self):
        """End every process of the pod, and leave nothing behind."""
        if self.pause is None:
            return
        while members := self.members():
            for pid in members:
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
        for process in (self.pause, *self.containers.values()):
            process.wait()
        for file in (self.net, *self.written.values()):
            os.close(file)
        self.pause, self.containers = None, {}

    def members(self):
        """Who is in the pod's namespace."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    there = os.stat(f"/proc/{name}/ns/net")
                except OSError:
                    continue  # it has ended meanwhile
                if os.path.samestat(there, os.fstat(self.net)):
                    found.append(int(name))
        return found

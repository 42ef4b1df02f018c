"""A thread of Python itself enters the namespace for as long as it starts a process there, and nobody else moves."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

libc = ctypes.CDLL(None)
NET = 0x40000000


class Pod:
    def __init__(self, name):
        self.name = name
        self.state = "new"

    def start(self):
        made = []

        def begin():  # in a thread that is then thrown away
            libc.unshare(NET)
            subprocess.check_call(["ip", "link", "set", "lo", "up"])
            made.append(subprocess.Popen(["tail", "-f", "/dev/null"]))

        self.aside(begin)
        self.pause = made[0]
        self.net = os.open(f"/proc/{self.pause.pid}/ns/net", os.O_RDONLY)
        self.folder = tempfile.mkdtemp(prefix="pod-")
        self.members = []
        self.state = "running"
        return self.pause.pid

    def aside(self, body):
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()

    def inside(self, body):
        result = []

        def there():
            if libc.setns(self.net, NET) == 0:
                result.append(body())

        self.aside(there)
        return result[0]

    def add(self, argv):
        self.look()
        if self.state != "running":
            raise RuntimeError(self.state)

        def begin():
            with open(os.path.join(self.folder, "new"), "wb") as log:
                return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        process = self.inside(begin)
        os.rename(os.path.join(self.folder, "new"), os.path.join(self.folder, str(process.pid)))
        self.members.append(process)
        return process.pid

    def logs(self, pid):
        with open(os.path.join(self.folder, str(pid)), "rb") as log:
            return log.read().decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()

    def connect(self, address, gateway):
        host = f"veth-{self.pause.pid}"
        for line in (
            f"link add {host} type veth peer name eth0 netns {self.pause.pid}",
            f"addr add {gateway}/{address.network.prefixlen} dev {host}",
            f"link set {host} up",
        ):
            subprocess.check_call(["ip", *line.split()])
        for line in (f"addr add {address} dev eth0", "link set eth0 up", f"route add default via {gateway}"):
            self.inside(lambda line=line: subprocess.check_call(["ip", *line.split()]))

    def look(self):
        if self.state == "running" and self.pause.poll() is not None:
            self.stop()

    def sync(self):
        self.look()
        if self.state != "running":
            return []
        self.members = [one for one in self.members if one.poll() is None]
        return [one.pid for one in self.members]

    def stop(self):
        if self.state != "running":
            return
        self.state = "stopped"
        ours = os.fstat(self.net).st_ino  # nobody else can get that number as long as it is open
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            found = subprocess.run(["lsns", "-n", "-t", "net", "-o", "NS"], capture_output=True, text=True).stdout
            if str(ours) not in found.split():
                break
            for name in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.stat(f"/proc/{name}/ns/net").st_ino == ours:
                        os.kill(int(name), signal.SIGKILL)
                except OSError:
                    continue
        for one in (self.pause, *self.members):
            one.wait()
        os.close(self.net)
        shutil.rmtree(self.folder)

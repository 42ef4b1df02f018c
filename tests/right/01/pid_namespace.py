"""The pause process is the first of a process namespace, too: with it the kernel ends all the others."""

import os
import subprocess
import time
from pathlib import Path


def only_child(process):
    """The number of the process that `process` has started; it takes a moment."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while True:
        found = children.read_text().split() if process.poll() is None else ["0"]
        if found:
            return int(found[0])
        time.sleep(0.001)


class Pod:
    def __init__(self, name):
        self.name = name
        self.outer = None
        self.known = {}

    def start(self):
        up = "ip link set lo up && echo up && exec sleep infinity"
        self.outer = subprocess.Popen(
            ["unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", up], stdout=subprocess.PIPE
        )
        self.outer.stdout.readline()
        self.pause = only_child(self.outer)
        return self.pause

    def join(self, *argv):
        return ["nsenter", f"--target={self.pause}", "--net", "--pid", "--", *argv]

    def add(self, argv):
        if not self.outer or self.outer.poll() is not None:
            raise RuntimeError("the pod is over")
        file = f"/tmp/{self.name}-{len(self.known)}.log"
        with open(file, "wb") as log:
            process = subprocess.Popen(self.join(*argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        pid = only_child(process) or process.pid
        self.known[pid] = (process, file)
        return pid

    def logs(self, pid):
        return Path(self.known[pid][1]).read_bytes().decode("ascii", "replace")

    def connect(self, address, gateway):
        near = f"v{self.pause}"
        subprocess.check_call(["ip", "link", "add", near, "type", "veth", "peer", "eth0"])
        subprocess.check_call(["ip", "link", "set", "eth0", "netns", str(self.pause)])
        subprocess.check_call(["ip", "addr", "add", f"{gateway}/{address.network.prefixlen}", "dev", near])
        subprocess.check_call(["ip", "link", "set", near, "up"])
        script = f"addr add {address} dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"
        subprocess.run(self.join("ip", "-batch", "-"), input=script.encode(), check=True)

    def sync(self):
        if self.outer and self.outer.poll() is not None:
            self.stop()
        return [pid for pid, (process, _) in self.known.items() if process.poll() is None]

    def stop(self):
        if self.outer:
            self.outer.kill()
            self.outer.wait()
            self.outer.stdout.close()
            for process, file in self.known.values():
                process.wait()
                os.unlink(file)
        self.outer, self.known = None, {}

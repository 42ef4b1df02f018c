"""Nothing but fork, exec and pipes; a thread for each container reads what it writes."""

import ctypes
import os
import signal
import threading
import time

NEWNET = 0x40000000
libc = ctypes.CDLL(None)


def child(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(127)
    return pid


def execute(*argv):
    os.execvp(argv[0], list(argv))


class Pod:
    def __init__(self, name):
        self.name = name
        self.pause = 0
        self.text = {}
        self.live = set()

    def start(self):
        reading, writing = os.pipe()

        def pause():
            libc.unshare(NEWNET)
            os.waitpid(child(lambda: execute("ip", "link", "set", "dev", "lo", "up")), 0)
            os.write(writing, b"!")
            execute("sleep", "infinity")

        self.pause = child(pause)
        os.read(reading, 1)
        os.close(reading)
        os.close(writing)
        self.net = os.open(f"/proc/{self.pause}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        return self.pause

    def _inside(self, body):
        def joined():
            libc.setns(self.net, NEWNET)
            body()

        return child(joined)

    def add(self, argv):
        self.sync()
        if not self.pause:
            raise ValueError("this pod is not running")
        reading, writing = os.pipe()

        def container():
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            execute(*argv)

        pid = self._inside(container)
        os.close(writing)
        self.text[pid] = b""
        self.live.add(pid)
        threading.Thread(target=self._read, args=(pid, reading), daemon=True).start()
        return pid

    def _read(self, pid, reading):
        while part := os.read(reading, 65536):
            self.text[pid] += part
        os.close(reading)

    def logs(self, pid):
        return self.text[pid].decode(errors="ignore")

    def connect(self, address, gateway):
        host = f"to{self.pause}"
        commands = [
            (child, f"ip link add {host} type veth peer name eth0 netns {self.pause}"),
            (child, f"ip address add {gateway}/{address.network.prefixlen} dev {host}"),
            (child, f"ip link set {host} up"),
            (self._inside, f"ip address add {address} dev eth0"),
            (self._inside, "ip link set eth0 up"),
            (self._inside, f"ip route add default via {gateway}"),
        ]
        for where, line in commands:
            assert os.waitpid(where(lambda line=line: execute(*line.split())), 0)[1] == 0

    def sync(self):
        if self.pause and os.waitpid(self.pause, os.WNOHANG)[0]:
            self._end()
        for pid in list(self.live):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.live.remove(pid)
        return list(self.live)

    def stop(self):
        if self.pause:
            os.kill(self.pause, signal.SIGKILL)
            os.waitpid(self.pause, 0)
            self._end()

    def _end(self):
        self.pause = 0
        own = os.readlink(f"/proc/self/fd/{self.net}")
        again = True
        while again:
            again = False
            for entry in os.scandir("/proc"):
                try:
                    if entry.name.isdecimal() and os.readlink(f"{entry.path}/ns/net") == own:
                        os.kill(int(entry.name), signal.SIGKILL)
                        again = True
                except OSError:
                    pass
            time.sleep(0.001)
        for pid in self.live:
            os.waitpid(pid, 0)
        self.live.clear()
        os.close(self.net)

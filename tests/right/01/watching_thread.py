"""A thread waits for the pause process to end, and takes the pod down at once; sync() has little left to do."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress

PAUSE = """
import ctypes, fcntl, signal, socket, struct
if ctypes.CDLL(None).unshare(0x40000000):
    raise SystemExit("no namespace")
with socket.socket() as any_socket:  # SIOCSIFFLAGS, IFF_UP
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
print("ready", flush=True)
while True:
    signal.pause()
"""


class Pod:
    def __init__(self, name):
        self.name = name
        self.lock = threading.RLock()
        self.containers = {}
        self.outputs = {}
        self.over = threading.Event()
        self.over.set()

    def start(self):
        self.pause = subprocess.Popen([sys.executable, "-S", "-c", PAUSE], stdout=subprocess.PIPE, text=True)
        assert self.pause.stdout.readline() == "ready\n"
        self.pause.stdout.close()
        self.net = os.open(f"/proc/{self.pause.pid}/ns/net", os.O_RDONLY)
        self.over.clear()
        threading.Thread(target=self._watch, daemon=True).start()
        return self.pause.pid

    def _watch(self):
        self.pause.wait()
        with self.lock:
            while members := list(self._members()):
                for pid in members:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            for container in self.containers.values():
                container.wait()
            self.containers.clear()
            os.close(self.net)
            self.over.set()

    def _members(self):
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.path.samestat(os.stat(f"/proc/{name}/ns/net"), os.fstat(self.net)):
                    yield int(name)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def _nsenter(self, argv, **more):
        return subprocess.Popen(["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.net}", *argv], **more)

    def add(self, argv):
        with self.lock:
            if self.over.is_set() or self.pause.poll() is not None:
                raise RuntimeError("the pod is not running")
            output = tempfile.TemporaryFile()  # noqa: SIM115
            container = self._nsenter(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            self.containers[container.pid], self.outputs[container.pid] = container, output
            return container.pid

    def logs(self, pid):
        return os.pread(self.outputs[pid].fileno(), 1 << 20, 0).decode(errors="replace")

    def connect(self, address, gateway):
        pid = self.pause.pid
        host, prefix = f"veth{pid}", address.network.prefixlen
        steps = f"""
            ip link add {host} type veth peer name eth0 netns {pid}
            ip addr add {gateway}/{prefix} dev {host}
            ip link set {host} up
            nsenter -t {pid} -n ip addr add {address} dev eth0
            nsenter -t {pid} -n ip link set eth0 up
            nsenter -t {pid} -n ip route add 0.0.0.0/0 via {gateway}
        """
        subprocess.run(["sh", "-e", "-c", steps], check=True)

    def sync(self):
        if not self.over.is_set() and self.pause.poll() is not None:
            self.over.wait()
        with self.lock:
            self.containers = {pid: one for pid, one in self.containers.items() if one.poll() is None}
            return list(self.containers)

    def stop(self):
        if not self.over.is_set():
            self.pause.kill()
            self.over.wait()

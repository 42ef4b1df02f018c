"""A load of small frames in a closed loop: so many are under way at any time, and each that arrives lets one follow.

So the forwarder in between always has something to do, and is never given more than its socket can hold. Frames go
out and come in 64 to a system call (sendmmsg, recvmmsg; see their manual pages), which costs much less per frame than
any forwarder in Python: the load is not what is measured. It does not sleep while it waits either, because then the
forwarder would have to wake it, and pay for that.
"""

import ctypes
import os
import socket
import time
from ipaddress import IPv4Address
from typing import Self

from podpath import netns
from podpath.host import Host
from podpath.packets import ETH_IPV4, UDP, ethernet, ipv4, mac, udp

UNDER_WAY = 128  # frames
AT_ONCE = 64
GIVEN_UP = 0.5  # seconds without an arrival after which what is under way is taken for lost
STATIONS = [(mac(f"0a:58:ff:00:00:0{n}"), IPv4Address(f"10.244.255.{n}")) for n in (1, 2)]  # who speaks, at each end
PAYLOAD = bytes(18)  # with its headers, the smallest frame that Ethernet allows


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        *(("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32)),
        *(("iovec", ctypes.POINTER(_Iovec)), ("iovecs", ctypes.c_size_t)),
        *(("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int)),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)


class Batch:
    """Up to 64 frames for one system call; all share one buffer, whose content is sent, or overwritten."""

    def __init__(self, content: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(content, 2048)
        self._iovec = _Iovec(ctypes.addressof(self._buffer), len(content) or 2048)
        self._headers = (_Mmsghdr * AT_ONCE)(
            *(_Mmsghdr(_Msghdr(iovec=ctypes.pointer(self._iovec), iovecs=1)) for _ in range(AT_ONCE))
        )

    def send(self, through: socket.socket, count: int) -> int:
        return self._result(_libc.sendmmsg(through.fileno(), self._headers, count, 0))

    def receive(self, through: socket.socket) -> int:
        return self._result(_libc.recvmmsg(through.fileno(), self._headers, AT_ONCE, socket.MSG_DONTWAIT, None))

    @staticmethod
    def _result(count: int) -> int:
        """How many frames it was; none if there were none, or no room."""
        if count < 0:
            if ctypes.get_errno() not in (11, 105):  # EAGAIN, ENOBUFS
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            return 0
        return count


class Load:
    """UDP in IPv4 from one host to another. Use it as a context manager.

    The stations that speak are not the hosts themselves but "behind" them, so that the hosts' own kernels drop at once
    what arrives, and do not take part. `interfaces` are those of the two hosts; `frames`, if given, what goes there and
    what goes back.
    """

    def __init__(
        self,
        source: Host,
        destination: Host,
        interfaces: tuple[str, str] = ("eth0", "eth0"),
        frames: tuple[bytes, bytes] | None = None,
    ) -> None:
        self._ends = [_opened(*end) for end in zip((source, destination), interfaces, strict=True)]
        self._frames = frames
        self.lost = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.close()

    def passes(self, deadline: float) -> bool:
        """Whether a frame gets through, first back and then forth: each end has spoken then, and is known."""
        until = time.monotonic() + deadline
        return self._once(1, 0, until) and self._once(0, 1, until)

    def passes_one_way(self, deadline: float) -> bool:
        """Whether a frame gets through on its way there. What has come by another forwarder is thrown away before."""
        while Batch(b"").receive(self._ends[1]):
            pass
        return self._once(0, 1, time.monotonic() + deadline)

    def _once(self, near: int, far: int, until: float) -> bool:
        """Send one frame after another until one arrives."""
        out, into = Batch(self._frame(near, far)), Batch(b"")
        while time.monotonic() < until:
            out.send(self._ends[near], 1)
            again = time.monotonic() + 0.05
            while time.monotonic() < again:
                if into.receive(self._ends[far]):
                    return True
        return False

    def rate(self, seconds: float) -> float:
        """How many frames per second arrive, measured for so long, after a tenth of that to get going."""
        (sender, receiver), out, into = self._ends, Batch(self._frame(0, 1)), Batch(b"")
        start = last = time.monotonic()
        counted_from, until = start + seconds / 10, start + seconds * 1.1
        under_way = arrived = 0
        while (now := time.monotonic()) < until:
            if UNDER_WAY - under_way >= AT_ONCE / 4:
                under_way += out.send(sender, min(AT_ONCE, UNDER_WAY - under_way))
            if got := into.receive(receiver):
                under_way, last = max(0, under_way - got), now
                arrived += got if now >= counted_from else 0
            elif now - last > GIVEN_UP:
                self.lost, under_way, last = self.lost + under_way, 0, now
        return arrived / seconds

    def _frame(self, near: int, far: int) -> bytes:
        if self._frames is not None:
            return self._frames[near]
        (source, ip), (destination, other_ip) = STATIONS[near], STATIONS[far]
        return ethernet(destination, source, ETH_IPV4, ipv4(ip, other_ip, UDP, udp(40000, 40001, PAYLOAD)))


def _opened(host: Host, interface: str) -> socket.socket:
    with netns.inside(host.netns):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        opened.bind((interface, ETH_IPV4))
    return opened

"""Frames sent and seen by hand: packet sockets on many interfaces at once."""

import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Self

from podpath import netns
from podpath.host import Host

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h


@cache
def _keep_stamping() -> socket.socket:
    """A socket that has the kernel stamp whatever arrives, for as long as this process lives.

    The first who asks for stamps gets them a moment later: until then frames are stamped when they are read.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    opened.bind(("127.0.0.1", 0))
    opened.settimeout(5)
    while True:
        opened.sendto(b"", opened.getsockname())
        before = time.time_ns()  # it has arrived: on loopback, sending is receiving
        _, ancillary, _, _ = opened.recvmsg(1, 64)
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
        if seconds * 10**9 + nanoseconds <= before:
            return opened


@dataclass(frozen=True)
class Seen:
    """A frame that arrived at a host, at `time` (seconds; the kernel's own stamp)."""

    host: str
    frame: bytes
    time: float


class Tap:
    """Packet sockets on `eth0` of some hosts (or on another interface). Use it as a context manager.

    What arrives before the tap is opened, or what a host itself sends, is not seen.
    """

    def __init__(self, hosts: Sequence[Host], interface: str = "eth0") -> None:
        self._sockets: dict[str, socket.socket] = {}
        _keep_stamping()
        with ExitStack() as stack:
            for host in hosts:
                with netns.inside(host.netns):
                    opened = stack.enter_context(netns.packet_socket(interface))
                opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                self._sockets[host.name] = opened
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, host: str, frame: bytes) -> None:
        """Let a host send a frame as it stands."""
        self._sockets[host].send(frame)

    def collect(self, enough: Callable[[list[Seen]], bool], deadline: float) -> list[Seen]:
        """What arrives until `enough` says of all of it so far that it is, or `deadline` seconds have passed.

        In the order of arrival, over all hosts.
        """
        seen: list[Seen] = []
        names = {opened: name for name, opened in self._sockets.items()}
        until = time.monotonic() + deadline
        while not enough(seen) and (left := until - time.monotonic()) > 0:
            for opened in select.select(list(names), [], [], left)[0]:
                frame, ancillary, _, _ = opened.recvmsg(65535, 128)
                told = {(level, kind): data for level, kind, data in ancillary}
                seconds, nanoseconds = struct.unpack("qq", told[socket.SOL_SOCKET, _SO_TIMESTAMPNS])
                auxiliary = told[netns.AUXILIARY]
                if auxiliary[0] & netns.VLAN_VALID:
                    frame = netns.with_tag(frame, auxiliary)
                seen.append(Seen(names[opened], frame, seconds + nanoseconds / 1e9))
        return sorted(seen, key=lambda one: one.time)

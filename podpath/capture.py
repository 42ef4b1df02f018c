"""Every frame on every interface of some hosts at once, with the kernel's own time stamps.

One packet socket per host sees all its interfaces, both what arrives and what leaves. The kernel writes frames and
their times into a ring of memory that it shares with us (packet(7), PACKET_RX_RING), so that an ordinary capture costs
not one system call per frame, and no large socket buffers, which only the machine's own root may have. What found no
free place in a ring is counted.
"""

import mmap
import socket
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from podpath import netns
from podpath.host import Host
from podpath.journey import Captured
from podpath.path import Place

# linux/if_packet.h
_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION = 263, 5, 6, 10
_TPACKET_V2, _OURS, _VLAN_VALID, _OUTGOING = 1, 1, 0x10, 4
_HEADER = struct.Struct(
    "IIIHHIIHH4xHHiHB"
)  # struct tpacket2_hdr (32 bytes), then struct sockaddr_ll up to sll_pkttype
_PLACE = 2048  # bytes per frame: what is longer is cut short
_PLACES, _AT_MOST = 1024, 8  # places for each interface of a host, and for how many interfaces at most
_BLOCK = 1 << 16


class Capture:
    """A capture, running while its `with` block does. Afterwards `frames` has what was seen, in order.

    `lost` is how many frames there were that the capture has no record of.
    """

    def __init__(self, hosts: Sequence[Host]) -> None:
        self.frames: list[Captured] = []
        self.lost = 0
        self._hosts = hosts
        self._rings: list[_Ring] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()  # before there are rings: the first of them fills while the others are being opened
        # All at once, here and when closing: for each, the kernel waits until no processor is looking at it any more.
        with ThreadPoolExecutor(max(1, len(self._hosts))) as pool:
            opening = [pool.submit(self._open, host) for host in self._hosts]
        failed = next((error for one in opening if (error := one.exception()) is not None), None)
        if failed is not None:
            self.__exit__()
            raise failed
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.lost = sum(ring.lost() for ring in self._rings)  # so far: what comes from now on is not asked for
        with ThreadPoolExecutor(max(1, len(self._rings))) as pool:
            list(pool.map(_Ring.close, self._rings))
        self.frames.sort(key=lambda one: one.time)

    def _open(self, host: Host) -> None:
        self._rings.append(_Ring(host))

    def _run(self) -> None:
        """Empty the rings long before they are full: the time between two looks is much less than filling one takes."""
        while not self._done.wait(0.02):
            self._collect()
        self._collect()

    def _collect(self) -> None:
        for ring in list(self._rings):
            ring.read(self.frames)


class _Ring:
    """The frames of one host, as the kernel writes them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._next = 0
        self._names: dict[int, str] = {}
        with netns.inside(host.netns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._places = _PLACES * min(len(socket.if_nameindex()), _AT_MOST)
        try:
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
            size = _PLACE * self._places
            ring = struct.pack("IIII", _BLOCK, size // _BLOCK, _PLACE, self._places)
            netns.set_packet_option(self._socket, _RX_RING, ring)
            self._memory = mmap.mmap(self._socket.fileno(), size)
            netns.hear_everything(self._socket)
        except BaseException:
            self._socket.close()
            raise

    def read(self, into: list[Captured]) -> None:
        """Take out what is there."""
        memory = self._memory
        for _ in range(self._places):
            start = self._next * _PLACE
            status, _, length, mac, _, seconds, nanoseconds, tci, tpid, _, _, index, _, kind = _HEADER.unpack_from(
                memory, start
            )
            if not status & _OURS:
                return
            frame = memory[start + mac : start + mac + length]
            struct.pack_into("I", memory, start, 0)  # the kernel's again
            self._next = (self._next + 1) % self._places
            if status & _VLAN_VALID:
                frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
            name = self._names.get(index) or self._name(index)
            if name != "lo":
                at = Place(self._host.name, name, kind == _OUTGOING)
                into.append(Captured(seconds + nanoseconds / 1e9, at, frame))

    def _name(self, index: int) -> str:
        with netns.inside(self._host.netns):
            self._names |= dict(socket.if_nameindex())
        return self._names.setdefault(index, f"interface {index}")

    def lost(self) -> int:
        """The number of frames that found no place."""
        dropped: int = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]
        return dropped

    def close(self) -> None:
        """Give it back."""
        self._memory.close()
        self._socket.close()

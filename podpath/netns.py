"""Doing things in another network namespace, from this process.

A socket belongs to the namespace in which it was opened, whatever thread uses it later; /proc/sys/net shows the
namespace of the thread that looks. So one process can hold sockets in many hosts at once, and needs no helper in
them. Only the calling thread moves.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000

ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_AUXDATA, IGNORE_OUTGOING = 8, 23  # linux/if_packet.h; the latter since 4.20
AUXILIARY = (_SOL_PACKET, _PACKET_AUXDATA)
VLAN_VALID = 0x10  # TP_STATUS_VLAN_VALID, in the first byte of the auxiliary data
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_SOL_RAW, _ICMP_FILTER = 255, 1  # linux/socket.h, linux/icmp.h

_SIOCETHTOOL, _GET_LINK = 0x8946, 0x0A
# linux/ethtool.h. Only the setters of features whose frames would reach us unfinished or glued together.
_OFFLOADS = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


@contextlib.contextmanager
def inside(path: str | Path) -> Iterator[None]:
    """Run the body in the network namespace at `path` (`/run/netns/NAME` or `/proc/PID/ns/net`)."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(home)


def enter(fd: int) -> None:
    """Move the calling thread into the network namespace that is open as `fd`, for good."""
    if _libc.setns(fd, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter a network namespace: {os.strerror(number)}")


def processes(namespaces: Iterable[Path]) -> Iterator[int]:
    """Every process in one of these network namespaces."""
    wanted = {(status.st_dev, status.st_ino) for path in namespaces if path.exists() for status in [path.stat()]}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "ns/net").stat()
            except OSError:
                continue  # it has just ended
            if (status.st_dev, status.st_ino) in wanted:
                yield int(entry.name)


def write_sysctls(settings: Mapping[str, str | int]) -> None:
    """Set kernel parameters below net/ of the namespace we are in, by path: `{"ipv4/ip_forward": 1}`."""
    for name, value in settings.items():
        with open(f"/proc/sys/net/{name}", "w") as parameter:
            parameter.write(str(value))


def switch_offloads_off(interface: str) -> None:
    """Have the kernel finish every frame (checksums, sizes) before it leaves by an interface of this namespace.

    Between veths Linux leaves checksums undone and hands over 64 KB "frames", which no wire would carry.
    """
    for feature, request in _OFFLOADS.items():
        try:
            _ethtool(interface, request)
        except OSError as error:
            if error.errno != 95:  # EOPNOTSUPP: it has no such feature, which is as good
                said = f"cannot switch {feature} off on {interface}: {error.strerror}"
                raise OSError(error.errno, said) from None


def settle(interfaces: Iterable[str]) -> None:
    """Have the kernel take notice, now, of cables that have just been plugged into interfaces of this namespace.

    It would do so within a second, and until then a bridge may send nothing. To be asked for the link makes it look
    (since Linux 6.9; on older ones nothing is lost).
    """
    for interface in interfaces:
        _ethtool(interface, _GET_LINK)


def _ethtool(interface: str, request: int) -> None:
    """A request of ethtool's with the value 0. Raises OSError."""
    value = ctypes.create_string_buffer(struct.pack("II", request, 0))
    ifreq = struct.pack("16sQ16x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, ifreq)


def packet_socket(interface: str, tagged: bool | None = None) -> socket.socket:
    """A packet socket that sees every frame arriving on an interface of this namespace, and none that leaves.

    With `tagged` it sees only those that have a VLAN tag, or only those that have none. Reading the tag costs half as
    much again as reading the frame; so who has to be fast reads tagged frames from a socket of their own.
    """
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: nothing arrives before bind
    try:
        opened.setsockopt(_SOL_PACKET, IGNORE_OUTGOING, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if tagged is not None:
            attach_filter(
                opened, [_LOAD_TAGGED, instruction(0x15, 0, *((1, 0) if tagged else (0, 1))), ACCEPT, REFUSE]
            )
        if tagged is not False:
            opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        opened.bind((interface, ETH_P_ALL))
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """An instruction of classic BPF (linux/filter.h). A jump says how many to leave out if it holds, and if not."""
    return struct.pack("HBBI", code, then, otherwise, value)


_LOAD_TAGGED = instruction(0x20, 0xFFFFF000 + 48)  # SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT: is there a VLAN tag?
ACCEPT, REFUSE = instruction(0x06, 0xFFFFFFFF), instruction(0x06, 0)


def attach_filter(opened: socket.socket, program: list[bytes]) -> None:
    """Have the kernel hand over only what a BPF program accepts."""
    code = ctypes.create_string_buffer(b"".join(program))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))


def receive_tagged(opened: socket.socket, size: int) -> bytes:
    """The next frame, with its VLAN tag."""
    frame, ancillary, _, _ = opened.recvmsg(size, 64)
    return with_tag(frame, ancillary[0][2]) if ancillary[0][2][0] & VLAN_VALID else frame


def with_tag(frame: bytes, auxiliary: bytes) -> bytes:
    """A frame as it was on the wire: Linux takes a VLAN tag off and hands it over beside the frame."""
    tci, tpid = struct.unpack_from("HH", auxiliary, 16)
    return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]


def set_packet_option(opened: socket.socket, option: int, value: bytes) -> None:
    """`setsockopt` for a packet socket that lets other threads run while the kernel takes its time."""
    if _libc.setsockopt(opened.fileno(), _SOL_PACKET, option, value, len(value)):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot set a packet socket's option {option}: {os.strerror(number)}")


def hear_everything(opened: socket.socket) -> None:
    """Bind a packet socket to all interfaces of its namespace, which the socket module has no words for."""
    address = struct.pack("HHiHBB8x", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0)
    if _libc.bind(opened.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), "cannot bind a packet socket to all interfaces")


def echo_socket() -> socket.socket:
    """A raw ICMP socket in this namespace that is handed echo replies only."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("I", ~1 & 0xFFFFFFFF))
    opened.setblocking(False)
    return opened

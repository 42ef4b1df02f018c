"""A port that is no interface: IPv4 packets between a node and the others, for a datapath that tunnels through them.

What the datapath sends goes out by the node's own kernel, which finds the way and the neighbour's MAC address. What comes
in are whole packets, headers and all, but only those for the tunnel: UDP to the node's address and the tunnel's port.
"""

import errno
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import IPv4Address

from podpath import netns
from podpath.topology import OVERLAY_PORT

_ETH_P_IP = 0x0800
_LEAST = 20  # bytes of an IPv4 header: the kernel must be able to read where a packet is to go


class Underlay:
    """The port of one node, whose own address is `address`. To be made in the node's network namespace."""

    interface = "eth0"  # where a node meets the others

    def __init__(self, address: IPv4Address, port: int = OVERLAY_PORT) -> None:
        with ExitStack() as stack:
            stack.enter_context(_listener(address, port))
            arriving = stack.enter_context(_packets(self.interface, address, port))
            self._out = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
            self._out.setblocking(False)
            self.close = stack.pop_all().close
        self.readers: list[tuple[int, Callable[[int], bytes]]] = [(arriving.fileno(), arriving.recv)]

    def send(self, packet: bytes, /) -> int:
        """Send an IPv4 packet as it stands; the kernel fills in the identification where that is 0. Raises OSError."""
        if len(packet) < _LEAST:
            raise OSError(errno.EINVAL, "it has no whole IPv4 header")
        return self._out.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def _packets(interface: str, address: IPv4Address, port: int) -> socket.socket:
    """A packet socket that takes the Ethernet header off and is handed what comes for the tunnel, and nothing else.

    Of a fragmented packet that is the first piece; the others have no port in them.
    """
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # protocol 0: nothing arrives before bind
    try:
        netns.set_packet_option(opened, netns.IGNORE_OUTGOING, struct.pack("i", 1))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        netns.attach_filter(opened, _for_the_tunnel(address, port))
        opened.bind((interface, _ETH_P_IP))
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def _listener(address: IPv4Address, port: int) -> socket.socket:
    """Somebody has to have the port, or the kernel answers every packet with "port unreachable". Nothing is kept here."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        netns.attach_filter(opened, [netns.REFUSE])
        opened.bind((str(address), port))
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            said = f"UDP port {port} of {address} is taken: is there a VXLAN device of the kernel's on this node?"
            raise OSError(error.errno, said) from None
        raise
    return opened


def _for_the_tunnel(address: IPv4Address, port: int) -> list[bytes]:
    """A classic BPF program (linux/filter.h): IPv4, protocol UDP, no fragment but a first one, and the destination.

    Offsets are from the IPv4 header on. A jump counts instructions from the next one.
    """
    return [
        netns.instruction(0x30, 9),  # ldb: protocol
        netns.instruction(0x15, socket.IPPROTO_UDP, 0, 7),
        netns.instruction(0x28, 6),  # ldh: fragment offset
        netns.instruction(0x45, 0x1FFF, 5, 0),
        netns.instruction(0x20, 16),  # ld: destination
        netns.instruction(0x15, int(address), 0, 3),
        netns.instruction(0xB1, 0),  # ldxb: 4 * IHL
        netns.instruction(0x48, 2),  # ldh: destination port
        netns.instruction(0x15, port, 1, 0),
        netns.REFUSE,
        netns.ACCEPT,
    ]

"""What the ports of a datapath are on a live host: interfaces, on which Ethernet frames pass, and the underlay."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

from podpath import netns
from podpath.datapath import UNDERLAY
from podpath.topology import HostPlan
from podpath.underlay import Underlay

Reader = tuple[int, Callable[[int], bytes]]  # a file descriptor to wait for, and how to receive so many bytes there


class Port(Protocol):
    """One port, open. `interface` is where what passes it can be seen."""

    interface: str
    readers: list[Reader]

    def send(self, data: bytes, /) -> int:
        """Send one frame. Raises OSError."""
        ...

    def close(self) -> None:
        """Give its sockets back. Twice is fine."""
        ...


class Ethernet:
    """An interface. Tagged frames come by a socket of their own: see `netns.packet_socket`."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        with ExitStack() as stack:
            plain = stack.enter_context(netns.packet_socket(interface, tagged=False))
            tagged = stack.enter_context(netns.packet_socket(interface, tagged=True))
            self.close = stack.pop_all().close
        self.readers: list[Reader] = [
            (plain.fileno(), plain.recv),
            (tagged.fileno(), partial(netns.receive_tagged, tagged)),
        ]
        self.send: Callable[[bytes], int] = plain.send


def open_port(name: str, host: HostPlan) -> Port:
    """The port of that name, of the host in whose network namespace we are. ValueError if there is none.

    Frames come and go as they are on a wire: what the kernel would leave to hardware is
    switched off.
    """
    interface = Underlay.interface if name == UNDERLAY else name
    if not Path(f"/proc/sys/net/ipv4/conf/{interface}").exists():
        raise ValueError(f"{host.name} has no port {name!r}")
    netns.switch_offloads_off(interface)
    return Underlay(host.address.ip) if name == UNDERLAY else Ethernet(name)

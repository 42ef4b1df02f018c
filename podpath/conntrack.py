"""What a host's kernel remembers of the connections that it has seen: its connection tracking table.

Linux shows it in /proc/net/nf_conntrack, one line each, where it was built with that (most distributions' are), and
takes entries out of it on request by netlink (linux/netfilter/nfnetlink_conntrack.h).
"""

import os
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath import netns
from podpath.conversation import Flow
from podpath.host import Host

_FIELD = re.compile(r"(src|dst|sport|dport|id)=(\S+)")
_NUMBERS = {"TCP": 6, "UDP": 17}
_NETLINK_NETFILTER, _NESTED = 12, 0x8000
_DELETE, _REQUEST_ACK = 0x0102, 5  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE; NLM_F_REQUEST, NLM_F_ACK
_UNKNOWN = 2  # ENOENT: there is no such entry


@dataclass(frozen=True)
class Connection:
    """One entry. `original` is how the first packet came in, `reply` how its answers are expected; each a flow of
    protocol, source and destination, these with their ports. `timeout` is in seconds, `state` is TCP's, or "".

    Where an address is translated, the two are not each other's reverse.
    """

    original: Flow
    reply: Flow
    state: str
    timeout: int

    def __str__(self) -> str:
        return f"{words(self.original)}, answers {words(self.reply, False)} {self.state}".rstrip()


def connections(host: Host) -> list[Connection]:
    """What a host's kernel remembers. RuntimeError, in words, where it does not show it."""
    try:
        with netns.inside(host.netns), open("/proc/thread-self/net/nf_conntrack", encoding="ascii") as table:
            lines = table.read().splitlines()
    except FileNotFoundError:
        raise RuntimeError(
            "this kernel does not show its connections in /proc/net/nf_conntrack: it tracks none, or was built without"
        ) from None
    return parse(lines)


def parse(lines: Iterable[str]) -> list[Connection]:
    """The entries of the table's text; what is not IPv4 is left out."""
    found = []
    for line in lines:
        words = line.split()
        fields = _FIELD.findall(line)
        starts = [number for number, (name, _) in enumerate(fields) if name == "src"]
        if words[:1] != ["ipv4"] or len(starts) != 2:
            continue
        there, back = (dict(part) for part in (fields[: starts[1]], fields[starts[1] :]))
        state = words[5] if words[2] == "tcp" else ""
        protocol = "IGMP" if words[3] == "2" else words[2].upper()  # which it has no name for
        found.append(Connection(_flow(protocol, there), _flow(protocol, back), state, int(words[4])))
    return found


def _flow(protocol: str, told: dict[str, str]) -> Flow:
    """An echo's identifier stands for both ports, as it does wherever flows are compared."""
    ident = told.get("id", "")
    return protocol, (told["src"], told.get("sport", ident)), (told["dst"], told.get("dport", ident))


def forget(host: Host, entries: Iterable[Connection]) -> int:
    """Take TCP or UDP entries out of a host's table, as `conntrack -D` does; how many of them were still there.

    The next packet of such a connection is the first of a new one. RuntimeError where the kernel does not allow it.
    """
    requests = [(one, _deletion(one.original)) for one in entries]
    gone = 0
    with netns.inside(host.netns):
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    with kernel:
        for one, request in requests:
            kernel.send(request)
            (answer,) = struct.unpack_from("=i", kernel.recv(4096), 16)  # behind the message's header
            error = -answer
            if error not in (0, _UNKNOWN):
                raise RuntimeError(
                    f"the kernel of {host.name} does not forget {words(one.original)}: {os.strerror(error)}"
                )
            gone += error == 0
    return gone


def _deletion(flow: Flow) -> bytes:
    """The request to delete the entry of which `flow` is the original direction. ValueError if it is not TCP or UDP."""
    protocol, (source, near), (destination, far) = flow
    if protocol not in _NUMBERS:
        raise ValueError(f"{words(flow)}: only TCP and UDP have ports by which to name an entry")
    addresses = _attribute(1, socket.inet_aton(source)) + _attribute(2, socket.inet_aton(destination))
    ports = _attribute(2, struct.pack("!H", int(near))) + _attribute(3, struct.pack("!H", int(far)))
    transport = _attribute(1, bytes([_NUMBERS[protocol]])) + ports
    tuple_ = _attribute(1 | _NESTED, _attribute(1 | _NESTED, addresses) + _attribute(2 | _NESTED, transport))
    body = struct.pack("!BBH", socket.AF_INET, 0, 0) + tuple_
    return struct.pack("=IHHII", 16 + len(body), _DELETE, _REQUEST_ACK, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute: length, kind, value, and what fills up to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def translations(host: Host) -> dict[Flow, IPv4Address]:
    """For each flow whose destination this host's kernel translates, the address that it became. Empty if unknown."""
    try:
        known = connections(host)
    except RuntimeError:
        return {}
    return {one.original: IPv4Address(one.reply[1][0]) for one in known if one.reply[1][0] != one.original[2][0]}


def words(flow: Flow, protocol: bool = True) -> str:
    """A flow on one line, with its protocol or without."""
    one, other = (":".join(filter(None, end)) for end in flow[1:])
    return f"{flow[0] + ' ' if protocol else ''}{one} > {other}"

"""What a host's kernel remembers of the connections that it has seen: its connection tracking table.

Linux shows it in /proc/net/nf_conntrack, one line each, where it was built with that (most distributions' are).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from podpath import netns
from podpath.conversation import Flow
from podpath.host import Host

_FIELD = re.compile(r"(src|dst|sport|dport|id)=(\S+)")


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

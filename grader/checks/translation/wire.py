"""Packets as the checks send and expect them: built from scratch, every checksum over the whole. Pure.

Nothing here updates a checksum; what a translated packet must be is the packet that somebody with the other address
and port would have sent.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Self

from podpath.packets import ICMP, TCP, UDP, checksum

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REPLY, ECHO = 0, 8
CHECKSUM_AT = {ICMP: 2, TCP: 16, UDP: 6}


def header(
    source: IPv4Address,
    destination: IPv4Address,
    protocol: int,
    length: int,
    *,
    ident: int,
    ttl: int,
    tos: int = 0,
    fragment: int = 0x4000,
    options: bytes = b"",
) -> bytes:
    """An IPv4 header (RFC 791, 3.1). `length` is that of what follows; `options` fill whole words."""
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, tos, size + length, ident, fragment, ttl, protocol, 0)
    head += source.packed + destination.packed + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


@dataclass(frozen=True)
class Datagram:
    """One packet of a flow, TCP, UDP or an ICMP echo. The identifier of an echo is the port of the end that asked.

    `damage` is added to the transport checksum that would be right; with `unchecked` a UDP datagram has none.
    """

    protocol: int
    source: IPv4Address
    sport: int
    destination: IPv4Address
    dport: int
    payload: bytes = b""
    flags: int = ACK
    numbers: tuple[int, int] = (0, 0)
    kind: int = ECHO
    ident: int = 0
    ttl: int = 63
    tos: int = 0
    options: bytes = b""
    tcp_options: bytes = b""
    damage: int = 0
    unchecked: bool = False

    def sent_by(self, address: IPv4Address, port: int) -> Self:
        """The same, with another source."""
        return replace(self, source=address, sport=port)

    def sent_to(self, address: IPv4Address, port: int) -> Self:
        """The same, with another destination."""
        return replace(self, destination=address, dport=port)

    def answer(self, payload: bytes = b"", flags: int = ACK, **other: object) -> Self:
        """What comes back to it."""
        kind = ECHO_REPLY if self.protocol == ICMP else self.kind
        swapped = {
            "source": self.destination,
            "sport": self.dport,
            "destination": self.source,
            "dport": self.sport,
            "options": b"",
            "tcp_options": b"",
        }
        fresh = {"payload": payload, "flags": flags, "kind": kind, "numbers": self.numbers[::-1]}
        return replace(self, **(swapped | fresh | other))  # type: ignore[arg-type]

    def transport(self) -> bytes:
        """What follows the IPv4 header."""
        whole = self._without_checksum()
        if self.unchecked:
            return whole
        value = checksum(whole if self.protocol == ICMP else self._pseudo_header(len(whole)) + whole)
        value = (value + self.damage) % 0xFFFF  # in one's complement
        if self.protocol == UDP and value == 0:
            value = 0xFFFF
        at = CHECKSUM_AT[self.protocol]
        return whole[:at] + struct.pack("!H", value) + whole[at + 2 :]

    def _without_checksum(self) -> bytes:
        if self.protocol == ICMP:
            number = self.sport if self.kind == ECHO else self.dport
            return struct.pack("!BBHHH", self.kind, 0, 0, number, self.numbers[0] & 0xFFFF) + self.payload
        if self.protocol == UDP:
            return struct.pack("!HHHH", self.sport, self.dport, 8 + len(self.payload), 0) + self.payload
        words = 5 + len(self.tcp_options) // 4
        head = struct.pack("!HHIIBBHHH", self.sport, self.dport, *self.numbers, words << 4, self.flags, 64240, 0, 0)
        return head + self.tcp_options + self.payload

    def _pseudo_header(self, length: int) -> bytes:
        return self.source.packed + self.destination.packed + struct.pack("!BBH", 0, self.protocol, length)

    def packet(self) -> bytes:
        """The IPv4 packet."""
        body = self.transport()
        return self._header(len(body), 0x4000) + body

    def fragments(self, sizes: Sequence[int]) -> list[bytes]:
        """The same packet in fragments of so many bytes each (multiples of 8) and one of the rest (RFC 791, 2.3)."""
        body, at, found = self.transport(), 0, []
        for size in [*sizes, len(self.transport())]:
            part = body[at : at + size]
            more = 0x2000 if at + len(part) < len(body) else 0
            found.append(self._header(len(part), more | at // 8) + part)
            at += size
        return found

    def _header(self, length: int, fragment: int) -> bytes:
        return header(
            self.source,
            self.destination,
            self.protocol,
            length,
            ident=self.ident,
            ttl=self.ttl,
            tos=self.tos,
            fragment=fragment,
            options=self.options,
        )


@dataclass(frozen=True)
class Trouble:
    """An ICMP error (RFC 792): `quoted` is the beginning of the packet that it is about."""

    kind: int
    code: int
    source: IPv4Address
    destination: IPv4Address
    quoted: bytes
    rest: bytes = bytes(4)
    ident: int = 0
    ttl: int = 61
    damage: int = 0

    def packet(self) -> bytes:
        """The IPv4 packet."""
        body = struct.pack("!BBH", self.kind, self.code, 0) + self.rest + self.quoted
        value = (checksum(body) + self.damage) & 0xFFFF
        body = body[:2] + struct.pack("!H", value) + body[4:]
        return header(self.source, self.destination, ICMP, len(body), ident=self.ident, ttl=self.ttl) + body

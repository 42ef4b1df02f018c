"""The headers of lab 00, as a learner's parsers return them and builders take them. Pure.

Field names and their order are those of the RFCs. What follows from the rest (lengths, checksums, the version) is no
field: a parser has checked it, and a builder computes it. A MAC address is 6 bytes, an IPv4 address an IPv4Address, and
everything else a number as it stands in the header.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True)
class Ethernet:
    """An Ethernet header (IEEE 802.3, 3.2), 14 bytes: who is to have the frame, who sent it, what is in it."""

    destination: bytes
    source: bytes
    ethertype: int


@dataclass(frozen=True)
class Arp:
    """An ARP packet (RFC 826) for IPv4 over Ethernet, 28 bytes; `operation` 1 asks, 2 answers.

    Sender and target, each by its hardware address (`sha`, `tha`) and its protocol address (`spa`, `tpa`).
    """

    operation: int
    sha: bytes
    spa: IPv4Address
    tha: bytes
    tpa: IPv4Address


@dataclass(frozen=True)
class Ipv4:
    """An IPv4 header (RFC 791, 3.1), 20 to 60 bytes.

    `flags` are its three bits as a number (2 is "don't fragment", 1 is "more fragments"), `fragment_offset` counts
    units of 8 bytes, `options` are 0 to 40 bytes, a multiple of 4.
    """

    tos: int
    identification: int
    flags: int
    fragment_offset: int
    ttl: int
    protocol: int
    source: IPv4Address
    destination: IPv4Address
    options: bytes = b""


@dataclass(frozen=True)
class Udp:
    """A UDP header (RFC 768), 8 bytes."""

    source_port: int
    destination_port: int

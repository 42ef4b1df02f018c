"""What a datapath is told about the network: interfaces, routes, Services, and who has which addresses. Pure.

All of it is immutable and can be compared: a changed configuration is another one.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


@dataclass(frozen=True)
class Interface:
    """An interface of a router: its MAC address (6 bytes), its IPv4 address with the prefix, its MTU in bytes."""

    mac: bytes
    address: IPv4Interface
    mtu: int = 1500


@dataclass(frozen=True)
class Route:
    """Packets for `prefix` leave by `port`, to the next hop `via`; None where the destination itself is on the link."""

    prefix: IPv4Network
    port: str
    via: IPv4Address | None = None


@dataclass(frozen=True)
class Endpoint:
    """One of the pods behind a Service."""

    address: IPv4Address
    port: int


@dataclass(frozen=True)
class Service:
    """A stable address in front of pods. `protocol` is "TCP" or "UDP"; with `affinity_seconds` a client stays where it was."""

    name: str
    address: IPv4Address
    port: int
    protocol: str
    endpoints: tuple[Endpoint, ...]
    affinity_seconds: float | None = None


@dataclass(frozen=True)
class Lease:
    """What flannel has agreed upon with a node: its pods' subnet; `vtep_mac` is the address (6 bytes) of its flannel.1."""

    node: str
    address: IPv4Address
    subnet: IPv4Network
    vtep_mac: bytes
    backend: str = "vxlan"


@dataclass(frozen=True)
class Node:
    """A node as its kube-proxy knows it. `pods` is the network of all pods of the cluster, on whatever node."""

    name: str
    address: IPv4Address
    pods: IPv4Network

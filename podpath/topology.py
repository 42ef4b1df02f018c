"""What a cluster consists of: its hosts, links and addresses, and who plays which layer. Pure.

Addresses are those of a small real cluster: every node has a /24 of the pod network 10.244.0.0/16 (flannel's default)
with its bridge at .1, the nodes stand in 172.16.0.0/24, and the internet is 203.0.113.0/24, which is set aside for
documentation (RFC 5737). Where an overlay is asked for, it is flannel's: a VXLAN device `flannel.1` on each node, with the
first address of the node's pods, and an MTU that leaves room for the headers of the tunnel. MAC addresses are made of the IPv4 address, as the CNI bridge plugin makes them, so that one
can read them: 0a:58:0a:f4:01:02 is 10.244.1.2.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from podpath.players import LAYERS as LAYERS
from podpath.players import Layer as Layer
from podpath.players import Network as Network
from podpath.players import Player as Player
from podpath.players import by_node
from podpath.players import players as players

BRIDGE = "cbr0"  # what kubenet called the bridge of a node
OVERLAY = "flannel.1"  # flannel's device, for its VXLAN network identifier 1
OVERLAY_PORT = 8472  # UDP: Linux's own, older than the assigned 4789; flannel uses it
OVERLAY_WIRE = "overlay"  # where a learner has it: the other end of the cable whose one end is flannel.1
OVERLAY_HEADERS = 50  # bytes: outer IPv4 (20), UDP (8), VXLAN (8), inner Ethernet (14)
UPLINK = "uplink"  # the port of a learner's bridge behind which the node itself is
INSIDE, OUTSIDE = (
    "inside",
    "outside",
)  # where a learner translates: the ports towards the node, and towards the fabric
POD, NETWORK = (
    "pod",
    "network",
)  # where a learner has the services: the ports of a pod towards itself, and towards its node
POD_NETWORK = IPv4Network("10.244.0.0/16")
NODE_NETWORK = IPv4Network("172.16.0.0/24")
PROVIDER = IPv4Interface("172.16.0.254/24")  # the fabric's own address: the way to the internet
INTERNET_GATEWAY = IPv4Interface("203.0.113.1/24")
INTERNET = IPv4Interface("203.0.113.10/24")
# A bridge that snoops on multicast joins a group of its own (RFC 4286, 224.0.0.106) and reports it to everybody, up to
# a second after it came up: a packet that nobody sent, in whatever capture is running then.
QUIET = "mcast_snooping 0"


@dataclass(frozen=True)
class End:
    """One end of a link: an interface of a host."""

    host: str
    interface: str
    mac: str | None = None
    address: IPv4Interface | None = None


@dataclass(frozen=True)
class Link:
    """A virtual cable (a veth pair)."""

    a: End
    b: End


@dataclass
class HostPlan:
    """What has to be done in one host, as `ip` commands, sysctls and nftables rules."""

    name: str
    role: Literal["pod", "node", "fabric", "internet"]
    address: IPv4Interface
    node: str | None = None  # of a pod: where it lives
    ports: list[str] = field(default_factory=list)  # of a node: what its bridge connects
    bridge: str | None = None  # the kernel's bridge here, if there is one
    gateway: IPv4Interface | None = None  # of a node: its own address towards the pods
    tunnel: IPv4Address | None = None  # of a node: its own address in the overlay
    routes: Player = "kernel"  # of a node: who forwards its packets
    overlay: Player = "nobody"  # of a node: who puts packets into the tunnel
    egress: Player = "kernel"  # of a node: who gives its pods an address that the internet knows
    services: Player = "kernel"  # of a node, and of its pods: who gives connections to Services their endpoints
    ip: list[str] = field(default_factory=list)
    fdb: list[str] = field(default_factory=list)  # `bridge` commands
    sysctls: dict[str, str | int] = field(default_factory=dict)
    nft: str = ""


@dataclass
class Plan:
    """A whole cluster. `players` says who plays each layer."""

    players: dict[Layer, Player]
    hosts: dict[str, HostPlan]
    links: list[Link]


def pod_subnet(index: int) -> IPv4Network:
    """The pods' addresses on a node; nodes count from 1."""
    return IPv4Network(f"10.244.{index}.0/24")


def cni_mac(address: IPv4Address) -> str:
    """The MAC address that the CNI bridge plugin gives to the owner of an IPv4 address."""
    return (b"\x0a\x58" + address.packed).hex(":")


def pod_names(nodes: int, pods: int | Sequence[str] | Sequence[Sequence[str]], prefix: str) -> list[list[str]]:
    """The pods' names, node by node; `pods` as `Cluster` takes it."""
    if nodes > 253:
        raise ValueError(f"{NODE_NETWORK} has room for 253 nodes, not for {nodes}")
    if isinstance(pods, int):
        return [[f"{prefix}pod{n * pods + i + 1}" for i in range(pods)] for n in range(nodes)]
    if all(isinstance(name, str) for name in pods):
        pods = [[str(name) for name in pods]] + [[] for _ in range(nodes - 1)]
    named = [[f"{prefix}{name}" for name in group] for group in pods]
    if len(named) != nodes:
        raise ValueError(f"pods are named for {len(named)} nodes, but there are {nodes}")
    return named


def plan(
    nodes: int = 1,
    pods: int | Sequence[str] | Sequence[Sequence[str]] = 3,
    network: Network = "kernel",
    prefix: str = "",
) -> Plan:
    """Plan a cluster. ValueError where it cannot be: names too long or twice, more pods than addresses."""
    who = players(network)
    names = pod_names(nodes, pods, prefix)
    made = Plan(who, {}, [])
    fabric = _fabric(made, prefix)
    everywhere = [by_node(layer, network, nodes) for layer in ("routes", "overlay", "egress", "services")]
    for index, (group, router, vtep, nat, proxy) in enumerate(zip(names, *everywhere, strict=True), start=1):
        node = HostPlan(
            f"{prefix}node{index}",
            "node",
            _node_address(index),
            routes=router,
            overlay=vtep,
            egress=nat,
            services=proxy,
        )
        _node(made, node, index, group, fabric, nodes)
    for name in made.hosts:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise ValueError(f"{name!r} cannot be the name of a host: letters, digits, '-', '_' and '.' can")
        if len(name) > 12:
            raise ValueError(f"{name!r} is too long: an interface may have 15 characters, and we use 3 of them")
    return made


def _add(made: Plan, host: HostPlan) -> HostPlan:
    if host.name in made.hosts:
        raise ValueError(f"two hosts cannot both be called {host.name!r}")
    # IPv6 would fill every capture with its own conversations; the labs speak IPv4.
    host.sysctls["ipv6/conf/all/disable_ipv6"] = 1
    host.ip.append("link set lo up")
    made.hosts[host.name] = host
    return host


def _fabric(made: Plan, prefix: str) -> HostPlan:
    fabric = _add(made, HostPlan(f"{prefix}fabric", "fabric", PROVIDER))
    internet = _add(made, HostPlan(f"{prefix}internet", "internet", INTERNET))
    made.links.append(
        Link(
            End(internet.name, "eth0", cni_mac(INTERNET.ip), INTERNET),
            End(fabric.name, "eth0", cni_mac(INTERNET_GATEWAY.ip), INTERNET_GATEWAY),
        )
    )
    fabric.ip += [
        f"link add fabric0 address {cni_mac(PROVIDER.ip)} type bridge {QUIET}",
        f"addr add {PROVIDER} dev fabric0",
        "link set fabric0 up",
        f"addr add {INTERNET_GATEWAY} dev eth0",
        "link set eth0 up",
    ]
    fabric.bridge = "fabric0"
    fabric.sysctls["ipv4/ip_forward"] = 1
    internet.ip += [
        f"addr add {INTERNET} dev eth0",
        "link set eth0 up",
        # The internet knows the way to the nodes, which stand for public addresses here, and none to the pods.
        f"route add {NODE_NETWORK} via {INTERNET_GATEWAY.ip}",
    ]
    return fabric


def _node_address(index: int) -> IPv4Interface:
    return IPv4Interface(f"{NODE_NETWORK[index]}/{NODE_NETWORK.prefixlen}")


def _node(made: Plan, node: HostPlan, index: int, pods: list[str], fabric: HostPlan, nodes: int) -> None:
    name, address = node.name, node.address
    subnet = pod_subnet(index)
    gateway = IPv4Interface(f"{subnet[1]}/{subnet.prefixlen}")
    if len(pods) > subnet.num_addresses - 3:
        raise ValueError(f"{name} has room for {subnet.num_addresses - 3} pods, not for {len(pods)}")
    _add(made, node)
    _uplink(made, node, fabric)
    fabric.ip += [f"link set to{name} master fabric0", f"link set to{name} up"]
    node.ip += [*_owned(node, address, "eth0"), "link set eth0 up"]

    for offset, pod in enumerate(pods):
        own = IPv4Interface(f"{subnet[2 + offset]}/{subnet.prefixlen}")
        host = _add(made, HostPlan(pod, "pod", own, node=name, services=node.services))
        port = f"to{pod}"
        _cable(
            made,
            host,
            End(pod, "eth0", cni_mac(own.ip), own),
            End(name, port),
            (POD, NETWORK) if host.services == "learner" else None,
        )
        host.ip += [f"addr add {own} dev eth0", "link set eth0 up", f"route add default via {gateway.ip}"]
        node.ports.append(port)
    node.gateway = gateway
    _bridge(made, node, gateway)
    _routes(made, node, index, nodes, subnet)
    if node.overlay != "nobody":
        _overlay(made, node, index, nodes)


def _uplink(made: Plan, node: HostPlan, fabric: HostPlan) -> None:
    """A node's cable to the others. Where a learner translates it is cut, and the learner has the two ends."""
    near = End(node.name, "eth0", cni_mac(node.address.ip), node.address)
    far = End(fabric.name, f"to{node.name}")
    _cable(made, node, near, far, (INSIDE, OUTSIDE) if node.egress == "learner" else None)


def _cable(made: Plan, host: HostPlan, near: End, far: End, cut: tuple[str, str] | None) -> None:
    """The cable of a host. Where it is cut, the two ends are ports in the host itself: names that no other host has."""
    if cut is None:
        made.links.append(Link(near, far))
        return
    made.links += [Link(near, End(host.name, cut[0])), Link(End(host.name, cut[1]), far)]
    for port in cut:
        host.sysctls[f"ipv4/conf/{port}/arp_ignore"] = 8  # it is a mere port, and nobody's address
        host.ip.append(f"link set {port} up")


def _owned(node: HostPlan, address: IPv4Interface, interface: str) -> list[str]:
    """Give an address to the node's kernel, unless it is a learner's router that answers for it."""
    return [] if node.routes == "learner" else [f"addr add {address} dev {interface}"]


def _bridge(made: Plan, node: HostPlan, gateway: IPv4Interface) -> None:
    if made.players["bridge"] == "kernel":
        node.ip.append(f"link add {BRIDGE} address {cni_mac(gateway.ip)} type bridge {QUIET}")
        node.ip += [f"link set {port} master {BRIDGE}" for port in node.ports]
        node.bridge = BRIDGE
    else:
        # Nobody, or a learner, connects the ports: the node itself is then one more station, behind the uplink.
        made.links.append(Link(End(node.name, BRIDGE, cni_mac(gateway.ip), gateway), End(node.name, UPLINK)))
        node.ports.append(UPLINK)
        # The node's own stack must not answer what arrives on a mere port: that is for the bridge to carry.
        node.sysctls |= {f"ipv4/conf/{port}/arp_ignore": 8 for port in node.ports}
    node.ip += [*_owned(node, gateway, BRIDGE), f"link set {BRIDGE} up"]
    node.ip += [f"link set {port} up" for port in node.ports]


def _routes(made: Plan, node: HostPlan, index: int, nodes: int, subnet: IPv4Network) -> None:
    if node.routes == "learner":
        node.sysctls["ipv4/ip_forward"] = 0  # a new namespace has what the machine has
    if node.routes == "kernel":
        node.sysctls["ipv4/ip_forward"] = 1
        if made.players["overlay"] == "nobody":
            node.ip += [f"route add {pod_subnet(n)} via {NODE_NETWORK[n]}" for n in _others(index, nodes)]
        node.ip.append(f"route add default via {PROVIDER.ip}")
    if node.egress == "kernel":
        node.nft = (
            "add table ip podpath\n"
            "add chain ip podpath postrouting { type nat hook postrouting priority srcnat; }\n"
            f"add rule ip podpath postrouting ip saddr {subnet} ip daddr != {POD_NETWORK}"
            f" ip daddr != {NODE_NETWORK} masquerade\n"
        )


def _others(index: int, nodes: int) -> list[int]:
    return [other for other in range(1, nodes + 1) if other != index]


def _overlay(made: Plan, node: HostPlan, index: int, nodes: int) -> None:
    """What flannel's vxlan backend sets up on a node: its device, and for each other node a route, an ARP and an FDB
    entry, so that nothing has to be asked on the tunnel. A learner's device has no FDB: it is the learner's."""
    node.tunnel, mtu = pod_subnet(index)[0], 1500 - OVERLAY_HEADERS
    if node.overlay == "kernel":
        node.ip.append(
            f"link add {OVERLAY} address {cni_mac(node.tunnel)} type vxlan id 1 dev eth0 local {node.address.ip}"
            f" dstport {OVERLAY_PORT} nolearning"
        )
    else:
        tunnel = IPv4Interface(f"{node.tunnel}/32")
        near = End(node.name, OVERLAY, cni_mac(node.tunnel), tunnel)
        made.links.append(Link(near, End(node.name, OVERLAY_WIRE)))
        node.sysctls[f"ipv4/conf/{OVERLAY_WIRE}/arp_ignore"] = 8  # it is a mere port, and nobody's address
        node.ip += [f"link set {OVERLAY} mtu {mtu}", f"link set {OVERLAY_WIRE} up"]
    node.ip += [f"addr add {node.tunnel}/32 dev {OVERLAY}", f"link set {OVERLAY} up"]
    for other in _others(index, nodes):
        far = pod_subnet(other)[0]
        node.ip += [
            f"route add {pod_subnet(other)} via {far} dev {OVERLAY} onlink",
            f"neigh add {far} lladdr {cni_mac(far)} dev {OVERLAY} nud permanent",
        ]
        if node.overlay == "kernel":
            node.fdb.append(f"fdb add {cni_mac(far)} dev {OVERLAY} dst {NODE_NETWORK[other]}")
    node.ip += [f"link set {port} mtu {mtu}" for port in node.ports]
    for pod in made.hosts.values():
        if pod.node == node.name:
            pod.ip.append(f"link set eth0 mtu {mtu}")

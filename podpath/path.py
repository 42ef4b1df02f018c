"""The way that a packet should take through a cluster: computed from its plan, not observed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import pairwise

from podpath.packets import mac as mac_bytes
from podpath.topology import (
    BRIDGE,
    INSIDE,
    INTERNET_GATEWAY,
    NETWORK,
    OUTSIDE,
    OVERLAY,
    OVERLAY_WIRE,
    POD,
    PROVIDER,
    UPLINK,
    HostPlan,
    Plan,
    cni_mac,
)


@dataclass(frozen=True, order=True)
class Place:
    """A direction at an interface of a host: where a packet can be seen to arrive, or to leave."""

    host: str
    interface: str
    outgoing: bool

    def __str__(self) -> str:
        return f"{self.host} {self.interface} {'->' if self.outgoing else '<-'}"


def peers(plan: Plan) -> dict[tuple[str, str], tuple[str, str]]:
    """For each end of a cable, as host and interface, the other end."""
    ends = [((link.a.host, link.a.interface), (link.b.host, link.b.interface)) for link in plan.links]
    return dict(ends) | {b: a for a, b in ends}


def owner(plan: Plan, address: IPv4Address) -> HostPlan | None:
    """The host that has an IPv4 address, if any has."""
    for host in plan.hosts.values():
        own = {host.address.ip, host.gateway.ip if host.gateway else None, host.tunnel}
        if host.role == "fabric":
            own = {PROVIDER.ip, INTERNET_GATEWAY.ip}
        if address in own:
            return host
    return None


def expected(plan: Plan, source: HostPlan, destination: HostPlan, to: IPv4Address | None = None) -> list[Place]:
    """Every place that a packet passes from one host to another, in order. Empty if they are the same host.

    `to` is the address that it is sent to, where that is not the destination's only one. Where it is another host's,
    that host translates the address, and the packet goes by way of it; where it is nobody's, as a Service's, the
    sender's own node does.
    """
    if source == destination and source.services == "learner" and to is not None and owner(plan, to) is None:
        return _turning(source)  # it was given to itself
    via = None if to is None else owner(plan, to) or _node_of(plan, source)
    if via is None or via in (source, destination):
        return _direct(plan, source, destination, to)
    return _direct(plan, source, via, to) + _direct(plan, via, destination)


def _direct(plan: Plan, source: HostPlan, destination: HostPlan, to: IPv4Address | None = None) -> list[Place]:
    if source == destination:
        return []
    if {source.role, destination.role} == {"internet", "fabric"}:
        return _cable(source.name, "eth0", destination.name, "eth0")
    start, end = _node_of(plan, source), _node_of(plan, destination)
    tunnelled = (
        plan.players["overlay"] != "nobody"
        and start is not None
        and end is not None
        and (destination.role == "pod" or to == destination.tunnel)
    )
    places = _from_pod(source) if source.role == "pod" else []
    if start is not None and start == end:
        if destination.role == "pod":
            return places + (_to_pod(destination) if places else [*_down(plan, start), *_to_pod(destination)])
        return places + _up(plan, start)
    if start is not None:
        places += _up(plan, start) if places else []
        places += _into_tunnel(start) if tunnelled else []
        places += _to_fabric(plan, start)
    else:
        places += _cable(source.name, "eth0", _fabric(plan), "eth0") if source.role == "internet" else []
        places.append(Place(_fabric(plan), "fabric0", True))
    if end is None:
        places.append(Place(_fabric(plan), "fabric0", False))
        return places + (
            _cable(_fabric(plan), "eth0", destination.name, "eth0") if destination.role != "fabric" else []
        )
    places += _from_fabric(plan, end)
    places += _out_of_tunnel(end) if tunnelled else []
    return places + ([*_down(plan, end), *_to_pod(destination)] if destination.role == "pod" else [])


def without_turning(way: Sequence[Place]) -> list[list[Place]]:
    """The same way where a bridge translates the address itself, as Linux's does with `bridge-nf-call-iptables`.

    What came in by one port and leaves by another then does not come up to the bridge's own interface. It does leave
    by it as long as the node has to look for the next hop's MAC address, and once that is known not even that.
    """
    turned = {
        n for n, (a, b) in enumerate(pairwise(way)) if a.host == b.host and a.interface == b.interface and b.outgoing
    }
    left = {n + 1 for n in turned}
    return [[place for n, place in enumerate(way) if n not in skipped] for skipped in (turned, turned | left)]


def macs(plan: Plan, places: Sequence[Place]) -> list[bytes]:
    """For each place of a way, the MAC address that a unicast packet is sent to there: that of the next hop.

    Of a packet in a tunnel it is the outer one; what goes into the tunnel is for its far end.
    """
    found, mac, far_end = [], b"", b""
    for place, after in zip(reversed(places), [None, *reversed(places)], strict=False):
        if after is not None and (place.interface, place.outgoing, after.interface) == (POD, False, POD):
            mac = _gateway(plan, place)  # it turns round
        elif place.interface == OVERLAY:
            far_end = _station(plan, place) or b"" if not place.outgoing else far_end
            mac = far_end
        elif place.interface == OVERLAY_WIRE:
            mac = far_end
        elif not place.outgoing:
            mac = _station(plan, place) or mac
        found.append(mac)
    return found[::-1]


def _station(plan: Plan, place: Place) -> bytes | None:
    """The MAC address of an interface that has an IPv4 address: where a hop ends. Mere ports have none."""
    host = plan.hosts[place.host]
    if host.role == "fabric":
        address = {"fabric0": PROVIDER.ip, "eth0": INTERNET_GATEWAY.ip}.get(place.interface)
    else:
        gateway = host.gateway.ip if host.gateway else None
        address = {BRIDGE: gateway, OVERLAY: host.tunnel, "eth0": host.address.ip}.get(place.interface)
    return None if address is None else mac_bytes(cni_mac(address))


def _gateway(plan: Plan, place: Place) -> bytes:
    """The MAC address to which a pod sends what is for a Service."""
    node = _node_of(plan, plan.hosts[place.host])
    assert node is not None
    assert node.gateway is not None
    return mac_bytes(cni_mac(node.gateway.ip))


def _cable(host: str, interface: str, peer: str, far: str) -> list[Place]:
    return [Place(host, interface, True), Place(peer, far, False)]


def _fabric(plan: Plan) -> str:
    return next(host.name for host in plan.hosts.values() if host.role == "fabric")


def _node_of(plan: Plan, host: HostPlan) -> HostPlan | None:
    if host.role == "node":
        return host
    return None if host.node is None else plan.hosts[host.node]


def _from_pod(pod: HostPlan) -> list[Place]:
    if pod.services != "learner":
        return _cable(pod.name, "eth0", str(pod.node), f"to{pod.name}")
    return _cable(pod.name, "eth0", pod.name, POD) + _cable(pod.name, NETWORK, str(pod.node), f"to{pod.name}")


def _to_pod(pod: HostPlan) -> list[Place]:
    if pod.services != "learner":
        return _cable(str(pod.node), f"to{pod.name}", pod.name, "eth0")
    return _cable(str(pod.node), f"to{pod.name}", pod.name, NETWORK) + _cable(pod.name, POD, pod.name, "eth0")


def _turning(pod: HostPlan) -> list[Place]:
    """From a pod, and back to it at its own cable."""
    return [*_cable(pod.name, "eth0", pod.name, POD), *_cable(pod.name, POD, pod.name, "eth0")]


def _to_fabric(plan: Plan, node: HostPlan) -> list[Place]:
    if node.egress != "learner":
        return _cable(node.name, "eth0", _fabric(plan), f"to{node.name}")
    return _cable(node.name, "eth0", node.name, INSIDE) + _cable(node.name, OUTSIDE, _fabric(plan), f"to{node.name}")


def _from_fabric(plan: Plan, node: HostPlan) -> list[Place]:
    if node.egress != "learner":
        return _cable(_fabric(plan), f"to{node.name}", node.name, "eth0")
    return _cable(_fabric(plan), f"to{node.name}", node.name, OUTSIDE) + _cable(node.name, INSIDE, node.name, "eth0")


def _into_tunnel(node: HostPlan) -> list[Place]:
    if node.overlay == "kernel":
        return [Place(node.name, OVERLAY, True)]
    return _cable(node.name, OVERLAY, node.name, OVERLAY_WIRE)


def _out_of_tunnel(node: HostPlan) -> list[Place]:
    if node.overlay == "kernel":
        return [Place(node.name, OVERLAY, False)]
    return _cable(node.name, OVERLAY_WIRE, node.name, OVERLAY)


def _up(plan: Plan, node: HostPlan) -> list[Place]:
    """From a port of the node's bridge to the node itself."""
    if plan.players["bridge"] == "kernel":
        return [Place(node.name, BRIDGE, False)]
    return _cable(node.name, UPLINK, node.name, BRIDGE)


def _down(plan: Plan, node: HostPlan) -> list[Place]:
    """From the node itself into its bridge."""
    if plan.players["bridge"] == "kernel":
        return [Place(node.name, BRIDGE, True)]
    return _cable(node.name, BRIDGE, node.name, UPLINK)

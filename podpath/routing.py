"""What the router of a node is told: interfaces and routes, as the plan of a cluster has them. Pure."""

from ipaddress import IPv4Network

from podpath.configuration import Interface, Route
from podpath.packets import mac
from podpath.topology import BRIDGE, PROVIDER, HostPlan, Plan, cni_mac

PORTS = (BRIDGE, "eth0")  # of a node: towards its pods, and towards the other nodes
_EVERYTHING = IPv4Network("0.0.0.0/0")


def configuration(plan: Plan, node: str) -> tuple[dict[str, Interface], list[Route]]:
    """The interfaces of a node's router by their names, and its routes: to the pods of other nodes, and to all else.

    The routes to the interfaces' own prefixes are not among them: who has an interface has these. KeyError if there is
    no such host, ValueError if it is no node.
    """
    host = plan.hosts[node]
    if host.gateway is None:
        raise ValueError(f"{node} is no node: it has no router")
    addresses = dict(zip(PORTS, (host.gateway, host.address), strict=True))
    interfaces = {port: Interface(mac(cni_mac(own.ip)), own) for port, own in addresses.items()}
    others = [other for other in _nodes(plan) if other is not host]
    routes = [Route(other.gateway.network, "eth0", other.address.ip) for other in others if other.gateway]
    return interfaces, [*routes, Route(_EVERYTHING, "eth0", PROVIDER.ip)]


def _nodes(plan: Plan) -> list[HostPlan]:
    return [host for host in plan.hosts.values() if host.role == "node"]

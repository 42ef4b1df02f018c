"""The kernel's part in Services, as kube-proxy has it play it in its nftables mode (KEP-3866).

Each new connection is looked up in a map, by address, protocol and port; so it costs the same however many Services there
are. The names of tables, chains and maps are kube-proxy's.
"""

import base64
import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network

from podpath import conntrack, netns
from podpath.configuration import Endpoint, Service
from podpath.conntrack import Connection
from podpath.host import Host
from podpath.topology import POD_NETWORK

TABLE = "kube-proxy"
_MASQUERADE = 0x4000  # the bit of a packet's mark that asks for it
_KEY = "type ipv4_addr . inet_proto . inet_service : verdict"
_AT_ONCE = 50  # Services
_OF_A_PACKET = "ip daddr . meta l4proto . th dport"


class RulesRefused(RuntimeError):
    """A kernel does not take the rules; the text is what it says."""


def nftables(services: Sequence[Service], pods: IPv4Network = POD_NETWORK) -> str:
    """The rules for these Services, for `nft -f`: they take the place of those that were there. Pure.

    `pods` is the network of all pods. Who is not a pod and connects to a Service is masqueraded, and so is a pod that is
    given to itself.
    """
    return f"add table ip {TABLE}\ndelete table ip {TABLE}\n{_table([], _FRAME)}{more_nftables(services, pods)}"


def more_nftables(services: Sequence[Service], pods: IPv4Network = POD_NETWORK) -> str:
    """The rules for further Services. Pure."""
    ready = [service for service in services if service.endpoints]
    empty = [service for service in services if not service.endpoints]
    maps = [
        *_map("service-ips", ((service, f"goto {chain(service)}") for service in ready)),
        *_map("no-endpoint-services", ((service, "goto reject-chain") for service in empty)),
    ]
    return _table(maps, [line for service in ready for line in _service(service, pods)])


def _table(maps: list[str], chains: list[str]) -> str:
    return "\n".join([f"table ip {TABLE} {{", *maps, *chains, "}", ""])


_FRAME = [
    f"map service-ips {{ {_KEY}; }}",
    f"map no-endpoint-services {{ {_KEY}; }}",
    "chain mark-for-masquerade {",
    f"mark set mark or {_MASQUERADE:#x}",
    "}",
    "chain masquerading {",
    f"mark and {_MASQUERADE:#x} == 0 return",
    f"mark set mark xor {_MASQUERADE:#x}",
    "masquerade fully-random",
    "}",
    "chain reject-chain {",
    "meta l4proto tcp reject with tcp reset",
    "reject",
    "}",
    "chain services {",
    f"{_OF_A_PACKET} vmap @service-ips",
    "}",
    "chain service-endpoints-check {",
    f"{_OF_A_PACKET} vmap @no-endpoint-services",
    "}",
]
for _base, _hook, _rule in (
    ("nat-prerouting", "type nat hook prerouting priority dstnat", "jump services"),
    ("nat-output", "type nat hook output priority -100", "jump services"),
    ("nat-postrouting", "type nat hook postrouting priority srcnat", "jump masquerading"),
    ("filter-input", "type filter hook input priority -110", "ct state new jump service-endpoints-check"),
    ("filter-forward", "type filter hook forward priority -110", "ct state new jump service-endpoints-check"),
    ("filter-output", "type filter hook output priority -110", "ct state new jump service-endpoints-check"),
):
    _FRAME += [f"chain {_base} {{", f"{_hook}; policy accept;", _rule, "}"]


def _map(name: str, verdicts: Iterable[tuple[Service, str]]) -> list[str]:
    elements = [
        f"{service.address} . {service.protocol.lower()} . {service.port} : {verdict}"
        for service, verdict in verdicts
    ]
    return [f"map {name} {{", _KEY, *([f"elements = {{ {', '.join(elements)} }}"] if elements else []), "}"]


def _name(service: Service) -> str:
    """As in `default/web/tcp/http`."""
    name, _, port = service.name.partition(":")
    return f"{name}/{service.protocol.lower()}/{port}"


def chain(service: Service) -> str:
    """The name of the chain of a Service that has endpoints."""
    return f"service-{_hashed(_name(service))}"


def _hashed(name: str) -> str:
    """A name with a hash in front: long names are cut."""
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()
    return f"{digest[:8]}-{name}"[:200]


def _service(service: Service, pods: IPv4Network) -> Iterator[str]:
    """The chain of a Service, which chooses, and those of its endpoints, which translate."""
    endpoints = {f"{_name(service)}__{one.address}/{one.port}": one for one in service.endpoints}
    for name, endpoint in endpoints.items():
        yield from _endpoint(service, endpoint, _hashed(name))
    protocol = service.protocol.lower()
    yield f"chain {chain(service)} {{"
    yield (f"ip daddr {service.address} {protocol} dport {service.port} ip saddr != {pods} jump mark-for-masquerade")
    if service.affinity_seconds:
        for name in endpoints:
            yield f"ip saddr @affinity-{_hashed(name)} goto endpoint-{_hashed(name)}"
    choices = ", ".join(f"{number} : goto endpoint-{_hashed(name)}" for number, name in enumerate(endpoints))
    yield f"numgen random mod {len(endpoints)} vmap {{ {choices} }}"
    yield "}"


def _endpoint(service: Service, endpoint: Endpoint, name: str) -> Iterator[str]:
    if service.affinity_seconds:
        yield f"set affinity-{name} {{"
        yield f"type ipv4_addr; flags dynamic,timeout; timeout {max(1, round(service.affinity_seconds))}s;"
        yield "}"
    yield f"chain endpoint-{name} {{"
    yield f"ip saddr {endpoint.address} jump mark-for-masquerade"
    if service.affinity_seconds:
        yield f"update @affinity-{name} {{ ip saddr }}"
    yield f"meta l4proto {service.protocol.lower()} dnat to {endpoint.address}:{endpoint.port}"
    yield "}"


def stale(services: Sequence[Service], known: Iterable[Connection]) -> list[Connection]:
    """The UDP entries of a node's connection tracking that lead to where these Services have no endpoint (any more).

    UDP has no connections, so a client that goes on sending would never be given another endpoint. TCP's are left alone.
    """
    there = {
        ("UDP", (str(service.address), str(service.port))): {
            (str(one.address), str(one.port)) for one in service.endpoints
        }
        for service in services
        if service.protocol == "UDP"
    }
    found = []
    for one in known:
        (protocol, _, asked), answering = one.original, one.reply[1]
        endpoints = there.get((protocol, asked))
        gone = endpoints is None and protocol == "UDP" and answering != asked
        if gone or (endpoints is not None and answering not in endpoints):
            found.append(one)
    return found


def sync(node: Host, services: Sequence[Service], ports: Sequence[str] = ()) -> None:
    """Have a node's kernel play these Services. RulesRefused, with what `nft` says.

    `ports` are those of the kernel's bridge there: each may send back to where a frame came from (kubelet's
    "hairpin-veth"), so that a pod that is given to itself gets the packet. Hundreds of Services are taken in several
    parts: what one netlink message may hold is limited for who is not the machine's root.
    """
    with netns.inside(node.netns):
        for port in ports:
            _told(node, ["bridge", "link", "set", "dev", port, "hairpin", "on"])
        _told(node, ["nft", "-f", "-"], nftables(services[:_AT_ONCE]))
        for start in range(_AT_ONCE, len(services), _AT_ONCE):
            _told(node, ["nft", "-f", "-"], more_nftables(services[start : start + _AT_ONCE]))
    try:
        known = conntrack.connections(node)
    except RuntimeError:  # who cannot see what its kernel remembers cannot have it forget
        return
    conntrack.forget(node, stale(services, known))


def _told(node: Host, argv: Sequence[str], text: str = "") -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RulesRefused(f"{node.name} does not take the rules of these Services: {done.stderr.strip()[:500]}")

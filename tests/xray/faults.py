"""Faults put into a cluster at a place that is known, for the X-ray to find."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from podpath import Cluster, attach
from podpath.datapath import UNDERLAY
from podpath.host import Host
from podpath.packets import UDP, checksum, ipv4, udp
from podpath.path import Place, expected
from podpath.topology import INSIDE, NETWORK, OUTSIDE, OVERLAY, OVERLAY_PORT, OVERLAY_WIRE, POD, Network, cni_mac
from podpath.trace import Died
from podpath.xrays import Xray, xray


class Bridge:
    """A learning bridge without ageing, which is not needed here."""

    def __init__(self, ports: list[str]) -> None:
        self.ports, self.table = ports, dict[bytes, str]()

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        self.table[frame[6:12]] = port
        known = self.table.get(frame[:6])
        if known is not None:
            return [] if known == port else [(known, frame)]
        return [(other, frame) for other in self.ports if other != port]


class Vtep:
    """A VXLAN endpoint for two nodes or more, which sends what it gets to all others, and takes what comes for good."""

    def __init__(self, address: IPv4Address, peers: list[IPv4Address]) -> None:
        self.address, self.peers = address, peers

    def receive(self, port: str, data: bytes, now: float) -> list[tuple[str, bytes]]:
        if port == UNDERLAY:
            return [("overlay", data[36:])]
        inside = udp(50000, OVERLAY_PORT, b"\x08\0\0\0\0\0\1\0" + data)
        return [(UNDERLAY, ipv4(self.address, peer, UDP, inside)) for peer in self._to(data)]

    def _to(self, frame: bytes) -> list[IPv4Address]:
        """flannel's MAC addresses say the subnet, and this the node: 0a:58:0a:f4:02:00 is node2's."""
        return [peer for peer in self.peers if frame[0] & 1 or peer.packed[3] == frame[4]]


class Nat:
    """Gives pings to the internet the node's address, and their answers back to the pod of that identifier."""

    def __init__(self, public: IPv4Address) -> None:
        self.public, self.pods = public.packed, dict[bytes, bytes]()

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        source, destination, identifier = frame[26:30], frame[30:34], frame[38:40]
        if port == INSIDE:
            if source[:1] == b"\x0a" and destination[:1] == b"\xcb":  # from 10.244.0.0/16 to 203.0.113.0/24
                self.pods[identifier] = source
                return [(OUTSIDE, _readdressed(frame, 26, self.public))]
            return [(OUTSIDE, frame)]
        if source[:1] == b"\xcb" and identifier in self.pods:
            return [(INSIDE, _readdressed(frame, 30, self.pods[identifier]))]
        return [(INSIDE, frame)]


class Cable:
    """A proxy that knows no Service."""

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        return [(NETWORK if port == POD else POD, frame)]


def _readdressed(frame: bytes, at: int, address: bytes) -> bytes:
    head = frame[14:24] + bytes(2) + frame[26:34]
    head = head[: at - 14] + address + head[at - 10 :]
    return frame[:14] + head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + frame[34:]


OVERLAY_OF_THE_KERNEL: Network = {"overlay": "kernel"}
NETWORKS: list[Network] = ["kernel", "learner", OVERLAY_OF_THE_KERNEL]


@dataclass
class Scene:
    """A cluster, two of its pods, and the way between them."""

    cluster: Cluster
    source: Host
    destination: Host
    way: list[Place]
    random: random.Random
    stack: ExitStack

    def run(self, host: str, *commands: str) -> None:
        for command in commands:
            self.cluster[host].cmd(command)

    def xray(self) -> Xray:
        """Ping from the source to the destination, with nothing remembered."""
        for host in self.cluster.hosts.values():
            host.cmd("ip neigh flush all")
        return xray(self.cluster, f"ping -c 1 -W 0.3 {self.destination.ip}", source=self.source)


def scene(seed: int, stack: ExitStack, network: Network | None = None, across: bool = False) -> Scene:
    """A cluster of random shape in which every pod reaches every pod; with `across`, the two are on two nodes."""
    chance = random.Random(seed)
    nodes = chance.randrange(2 if across else 1, 4)
    network = network or chance.choice(NETWORKS)
    cluster = stack.enter_context(Cluster(nodes, chance.randrange(2, 4), network))
    for node in cluster.nodes if cluster.plan.players["bridge"] == "learner" else []:
        stack.enter_context(attach(Bridge, node))
    for node in cluster.nodes:
        if cluster.plan.hosts[node.name].overlay == "learner":
            others = [IPv4Address(other.ip) for other in cluster.nodes if other is not node]
            stack.enter_context(attach(Vtep(IPv4Address(node.ip), others), node, [OVERLAY_WIRE, UNDERLAY]))
        if cluster.plan.hosts[node.name].egress == "learner":
            stack.enter_context(attach(Nat(IPv4Address(node.ip)), node, [INSIDE, OUTSIDE]))
    for pod in cluster.pods:
        if cluster.plan.hosts[pod.name].services == "learner":
            stack.enter_context(attach(Cable(), pod, [POD, NETWORK]))
    cluster.converge()
    home = {pod: cluster.plan.hosts[pod.name].node for pod in cluster.pods}
    pairs = [(a, b) for a in cluster.pods for b in cluster.pods if a is not b and not (across and home[a] == home[b])]
    source, destination = chance.choice(pairs)
    way = expected(cluster.plan, cluster.plan.hosts[source.name], cluster.plan.hosts[destination.name])
    return Scene(cluster, source, destination, way, chance, stack)


Verdict = Callable[[Died], bool]


def link_cut(scene: Scene) -> Verdict:
    """One end of a cable on the way is set down. What was lost was lost there."""
    cables = [(a, b) for a, b in zip(scene.way, scene.way[1:], strict=False) if a.host != b.host]
    near, far = scene.random.choice(cables)
    end = scene.random.choice([near, far])
    scene.run(end.host, f"ip link set {end.interface} down")

    def right(died: Died) -> bool:
        if died.at is None and died.next is None:
            return near.host == scene.source.name  # without the only link there is not even a route
        return died.at == near or died.next in (near, far)

    return right


def route_removed(scene: Scene) -> Verdict:
    """A host on the way, which routes, forgets the route."""
    onward = OVERLAY if scene.cluster.plan.players["overlay"] == "kernel" else "eth0"
    routing = [scene.way[0], *(place for place in scene.way[1:] if place.outgoing and place.interface == onward)]
    place = scene.random.choice(routing)
    subnet = scene.cluster.plan.hosts[scene.destination.name].address.network
    scene.run(place.host, f"ip route del {subnet}", f"ip route del {subnet}", "ip route del default")

    def right(died: Died) -> bool:
        before = scene.way.index(place) - 1
        if before < 0:
            return died.at is None
        return died.at == scene.way[before] and died.next == place

    return right


def rule_that_drops(scene: Scene) -> Verdict:
    """A packet filter drops ICMP: in a node that forwards it, in the pod that gets it, or in the pod that sends it."""
    hooks = [("output", scene.source.name, None), ("input", scene.destination.name, scene.way[-1])]
    for before, after in zip(scene.way, scene.way[1:], strict=False):
        if before.host == after.host and not before.outgoing and after.outgoing and "fabric" not in before.host:
            routed = scene.cluster.plan.players["bridge"] == "learner" or "cbr0" in (
                before.interface,
                after.interface,
            )
            if routed and "cbr0" in (before.interface, after.interface):
                hooks.append(("forward", before.host, before))
    hook, host, place = scene.random.choice(hooks)
    scene.run(
        host,
        "nft add table ip fault",
        f"nft 'add chain ip fault it {{ type filter hook {hook} priority 0; }}'",
        "nft add rule ip fault it ip protocol icmp drop",
    )
    return lambda died: died.at == place


def wrong_datapath(scene: Scene) -> Verdict:
    """A learner's bridge on the way does not do what it should with what is meant for one port."""
    crossings = [
        (a, b)
        for a, b in zip(scene.way, scene.way[1:], strict=False)
        if a.host == b.host
        and not a.outgoing
        and b.outgoing
        and {a.interface, b.interface} <= set(ports(scene, a.host))
    ]
    before, after = scene.random.choice(crossings)
    kind = scene.random.choice(["nothing", "elsewhere", "cut short"])

    class Wrong(Bridge):
        def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
            answer: list[tuple[str, bytes]] = []
            for to, sent in super().receive(port, frame, now):
                if (port, to) != (before.interface, after.interface):
                    answer.append((to, sent))
                elif kind == "elsewhere":
                    answer.append((next(p for p in self.ports if p not in (port, to)), sent))
                elif kind == "cut short":
                    answer.append((to, sent[:14]))
            return answer

    scene.stack.enter_context(attach(Wrong, scene.cluster[before.host]))
    return lambda died: died.at == before and died.next == after


def tunnel_broken(scene: Scene) -> Verdict:
    """The near end does not know the far one, or the far end does not know the tunnel."""
    (into,) = [place for place in scene.way if place.interface == OVERLAY and place.outgoing]
    (out,) = [place for place in scene.way if place.interface == OVERLAY and not place.outgoing]
    near, far = (scene.cluster.plan.hosts[place.host] for place in (into, out))
    assert far.tunnel is not None
    mac = cni_mac(far.tunnel)
    entry = f"{mac} dev {OVERLAY} dst {far.address.ip}"
    broken = {
        "no FDB entry": (near, f"bridge fdb del {entry}", into),
        "FDB entry for nobody": (near, f"bridge fdb replace {mac} dev {OVERLAY} dst 172.16.0.200", into),
        "no ARP entry": (near, f"ip neigh del {far.tunnel} dev {OVERLAY}", into),
        "the far end is down": (far, f"ip link set {OVERLAY} down", scene.way[scene.way.index(out) - 1]),
        "the port is filtered": (
            far,
            "nft 'add table ip fault; add chain ip fault it { type filter hook input priority 0; };"
            " add rule ip fault it udp dport 8472 drop'",
            scene.way[scene.way.index(out) - 1],
        ),
    }
    host, command, place = broken[scene.random.choice(list(broken))]
    scene.run(host.name, command)
    return lambda died: died.at == place


def ports(scene: Scene, host: str) -> list[str]:
    """The ports of a node's bridge."""
    return scene.cluster.ports(scene.cluster[host]) if scene.cluster.plan.hosts[host].role == "node" else []


FAULTS: dict[str, tuple[Callable[[Scene], Verdict], Network | None]] = {
    "link cut": (link_cut, None),
    "route removed": (route_removed, None),
    "rule that drops": (rule_that_drops, None),
    "wrong datapath": (wrong_datapath, "learner"),
    "tunnel broken": (tunnel_broken, OVERLAY_OF_THE_KERNEL),
}


def find(kind: str, seed: int) -> tuple[bool, str]:
    """Put one fault into a new cluster; whether the X-ray named the place, and all about it."""
    make, network = FAULTS[kind]
    with ExitStack() as stack:
        made = scene(seed, stack, network, across=kind == "tunnel broken")
        right: Any = make(made)
        seen = made.xray()
        died = seen.died_at
        told = f"{kind}, seed {seed}: {made.source.name} -> {made.destination.name}\n{seen}\n{died and (died.at, died.next)}"
        return died is not None and right(died), told

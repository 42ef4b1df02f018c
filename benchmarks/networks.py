"""The same network made in three ways: by podpath, by stock Mininet's own classes, and by `ip` alone.

All three follow one plan (`podpath.topology`): the same hosts, veth links, bridges, addresses, routes and forwarding.
Where they cannot be alike to the last command, the difference favours the other two: podpath also turns IPv6 off in
every host and masquerades at each node, which neither reachability nor this comparison needs; each node of stock
Mininet is a LinuxBridge in a namespace of its own, bridge and router in one as in podpath, where its users would
take a switch and a router with a link between them.
"""

import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import permutations
from pathlib import Path

from mininet.net import Mininet
from mininet.nodelib import LinuxBridge

from podpath import Cluster, netns, probe, topology

NAMES = Path("/run/netns")
LIMIT = Path("/proc/sys/user/max_net_namespaces")
FORWARDING = "ipv4/ip_forward"

# At its first network Mininet raises limits of the whole machine. That is not for a benchmark to do, nor to count.
Mininet.inited = True


@dataclass(frozen=True)
class Pod:
    """What the probe wants to know of a pod."""

    name: str
    ip: str
    netns: Path


@dataclass(frozen=True)
class Made:
    """A network that is up: its pods, and how it is taken down."""

    pods: Sequence[probe.Target]
    close: Callable[[], None]


Maker = Callable[[int, int], Made]  # how many nodes, and how many pods each


@cache
def planned(nodes: int, pods: int) -> topology.Plan:
    """The plan. Kept, so that making the plan is counted for podpath and for nobody else."""
    return topology.plan(nodes, pods)


def reach(pods: Sequence[probe.Target], deadline: float) -> None:
    """What `Cluster.converge` does: ask from every pod to every other until it has answered."""
    _ask(permutations(pods, 2), deadline)


def reach_next(pods: Sequence[probe.Target], deadline: float) -> None:
    """Ask from each pod to the next one and from the last to the first: as many pairs as pods, and every node's way."""
    _ask(zip(pods, [*pods[1:], pods[0]], strict=True), deadline)


def _ask(pairs: Iterable[probe.Pair], deadline: float) -> None:
    missing = [echo for echo in probe.echo(pairs, deadline) if not echo]
    if missing:
        raise RuntimeError(f"{len(missing)} pairs of pods had no answer in {deadline:g} s; {missing[0]}, for one")


def by_podpath(nodes: int, pods: int) -> Made:
    cluster = Cluster(nodes, pods)
    return Made(cluster.pods, cluster.close)


def by_ip(nodes: int, pods: int) -> Made:
    """One `ip -batch` for namespaces and cables, and one in each host, all at once: `-batch` cannot change hosts."""
    plan = planned(nodes, pods)
    lines = [f"netns add {name}" for name in plan.hosts]
    lines += [f"link add {_end(link.a)} type veth peer {_end(link.b)}" for link in plan.links]
    _finish(_batch([], lines))
    running = [_batch(["-n", name], host.ip) for name, host in plan.hosts.items()]
    for name, host in plan.hosts.items():
        if FORWARDING in host.sysctls:  # `ip` has no command for it
            with netns.inside(NAMES / name):
                netns.write_sysctls({FORWARDING: 1})
    for child in running:
        _finish(child)
    targets = [
        Pod(name, str(host.address.ip), NAMES / name) for name, host in plan.hosts.items() if host.role == "pod"
    ]
    return Made(targets, lambda: _finish(_batch([], [f"netns del {name}" for name in plan.hosts])))


def _end(end: topology.End) -> str:
    return f"name {end.interface} netns {end.host}" + (f" address {end.mac}" if end.mac else "")


def _batch(options: list[str], lines: list[str]) -> subprocess.Popen[str]:
    child = subprocess.Popen(["ip", *options, "-batch", "-"], stdin=subprocess.PIPE, text=True)
    assert child.stdin is not None
    child.stdin.write("\n".join(lines) + "\n")
    child.stdin.close()
    return child


def _finish(child: subprocess.Popen[str]) -> None:
    if child.wait():
        raise RuntimeError(f"{child.args} ended with status {child.returncode}; what it said is above")


def by_mininet(nodes: int, pods: int) -> Made:
    plan = planned(nodes, pods)
    net = Mininet(controller=None, switch=LinuxBridge, build=False)
    for name, host in plan.hosts.items():
        if host.role in ("node", "fabric"):
            net.addSwitch(name, inNamespace=True, dpid="1")  # the number is for OpenFlow; it may not be left out
        else:
            route = next((line.removeprefix("route add default ") for line in host.ip if "default" in line), None)
            net.addHost(name, ip=str(host.address), defaultRoute=route)
    for link in plan.links:
        # A LinuxBridge takes the interfaces that carry its name, and that is what Mininet calls them. Those called
        # eth0 stay out: the node's own, towards the fabric, and the fabric's, towards the internet.
        names = {f"intfName{n}": "eth0" for n, end in ((1, link.a), (2, link.b)) if end.interface == "eth0"}
        net.addLink(link.a.host, link.b.host, **names)
    net.build()
    net.start()
    for name, host in plan.hosts.items():
        if host.role in ("node", "fabric"):
            _route(net[name], [line for line in host.ip if line.startswith(("addr", "route"))])
    net["internet"].cmd("ip", plan.hosts["internet"].ip[-1])
    for name in plan.hosts:  # where the probe's `ip -n` looks for it; Mininet itself gives its namespaces no names
        (NAMES / name).symlink_to(f"/proc/{net[name].pid}/ns/net")
    targets = [
        Pod(name, str(host.address.ip), NAMES / name) for name, host in plan.hosts.items() if host.role == "pod"
    ]
    return Made(targets, partial(_stop, net, list(plan.hosts)))


def _route(bridge: LinuxBridge, lines: list[str]) -> None:
    """Addresses, routes and forwarding of a node, in one command: Mininet's shells are slow, and ours is not to tell."""
    commands = [f"ip {line}" for line in lines]
    for ours in (topology.BRIDGE, "fabric0"):
        commands = [command.replace(f"dev {ours}", f"dev {bridge.name}") for command in commands]
    said = bridge.cmd("; ".join([*commands, "sysctl -q -w net.ipv4.ip_forward=1"]))
    if said.strip():
        raise RuntimeError(f"{bridge.name} could not be set up: {said}")


def _stop(net: Mininet, names: list[str]) -> None:
    for name in names:
        (NAMES / name).unlink()
    net.stop()


def wait_for_cleanup(deadline: float = 30.0) -> None:
    """Wait until the kernel has taken down every namespace of the network before.

    It does so behind our back, for a quarter of a second and more, and whatever is measured meanwhile pays for it.
    It counts the namespaces of a user, and lowers the count last of all: so we allow one more than the sandbox's own,
    and try until we get it. Without a user namespace (in a sandbox made by real root) the count is the machine's, and
    is left alone.
    """
    if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
        return
    unlimited, until = LIMIT.read_text(), time.monotonic() + deadline
    LIMIT.write_text("2")
    try:
        while subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
            if time.monotonic() > until:
                raise RuntimeError(f"the kernel has not taken the last network down in {deadline:g} s")
    finally:
        LIMIT.write_text(unlimited)

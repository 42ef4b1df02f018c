"""Step 5 of the router: it stands in for the kernels of nodes, and has to get on with one that is still there."""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from grader.check import Failed, Step
from grader.checks.router.trial import RouterTrial
from grader.live import all_ping, raise_failures
from podpath.cluster import Cluster
from podpath.configuration import Route
from podpath.host import Host
from podpath.live import Attachment, attach
from podpath.players import Player
from podpath.routing import PORTS

DEADLINE = 5.0  # seconds until a packet that has not arrived is taken for lost
NOWHERE = IPv4Address("198.51.100.7")  # for documentation (RFC 5737); the routers of this check have no route to it
_NAMES = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch"]
_PREFIX = "t-"  # the learner's own cluster may be up in the same sandbox

STEP = Step("Step 5: live", live=True)


@STEP.check(
    "live-ping",
    "pods on three nodes reach each other, though two of the nodes are yours and one is the kernel's",
    1,
    "Every pod reaches every pod, on any node, by its own address (the Kubernetes network model).",
)
def pods_ping(t: RouterTrial) -> None:
    players: list[Player] = ["learner", "learner", "kernel"]
    t.random.shuffle(players)
    with _cluster(t, players) as cluster:
        if any(cluster.reachability(deadline=0.2).echoes.values()):
            raise RuntimeError("pods reach each other without routers: this sandbox is not what it should be")
        t.transcript.say("without a router on two of the nodes no pod reaches another")
        with _attached(t, cluster) as attachments:
            all_ping(t.transcript, cluster, attachments, DEADLINE, " through your routers")


@STEP.check(
    "live-hops",
    "traceroute finds each of your routers, and they say when there is no way",
    1,
    "A packet with TTL n dies at the n-th router, which says so: that is how traceroute finds the way.",
    "RT-17",
    "RT-48",
    "RT-55",
)
def hops(t: RouterTrial) -> None:
    with _cluster(t, ["learner", "learner", "learner"]) as cluster, _attached(t, cluster) as attachments:
        source, destination = t.random.sample(cluster.pods, 2)
        near, far = (cluster.plan.hosts[str(cluster.plan.hosts[pod.name].node)] for pod in (source, destination))
        assert near.gateway is not None
        way = [near.gateway.ip, far.address.ip]
        for ttl, router in enumerate(way, start=1):
            said = f"From {router} icmp_seq=1 Time to live exceeded"
            _ping(t, attachments, source, str(destination.ip), ttl, said)
        _ping(t, attachments, source, str(destination.ip), len(way) + 1, f"64 bytes from {destination.ip}")
        _ping(t, attachments, source, str(NOWHERE), 64, f"From {way[0]} icmp_seq=1 Destination Net Unreachable")
        _ping(t, attachments, source, str(way[0]), 1, f"64 bytes from {way[0]}")
        _ping(t, attachments, source, str(way[1]), 2, f"64 bytes from {way[1]}")


def _ping(t: RouterTrial, attachments: Sequence[Attachment], source: Host, to: str, ttl: int, wanted: str) -> None:
    """Send echo requests, a second apart because errors may be limited, until ping says what it should."""
    command = f"ping -n -c 1 -W 1 -t {ttl} {to}"
    until = time.monotonic() + DEADLINE
    said = ""
    while time.monotonic() < until:
        said = str(source.cmd(command))
        raise_failures(t.transcript, *attachments)
        if wanted in said:
            t.transcript.say(f"{source.name}: {command}: {wanted}")
            return
    heard = re.findall(r"^(?:From|\d+ bytes from) .*$", said, re.MULTILINE)
    t.transcript.wrong(f"{source.name}: {command} must say: {wanted}")
    raise Failed(f"With TTL {ttl}, ping said {heard[0] if heard else 'nothing'!r}; it must say {wanted!r}.")


# -- the routers


@contextlib.contextmanager
def _cluster(t: RouterTrial, players: list[Player]) -> Iterator[Cluster]:
    names = [[name] for name in t.random.sample(_NAMES, len(players))]
    with Cluster(len(players), names, {"routes": players}, prefix=_PREFIX) as cluster:
        yield cluster


@contextlib.contextmanager
def _attached(t: RouterTrial, cluster: Cluster) -> Iterator[list[Attachment]]:
    """The learner's routers on all nodes that are not the kernel's; without a default route."""
    with contextlib.ExitStack() as stack:
        attachments = []
        for node in cluster.nodes:
            if cluster.plan.hosts[node.name].routes != "learner":
                t.transcript.say(f"{node.name}: the kernel's routes")
                continue
            interfaces, routes = cluster.router_of(node)
            known = [route for route in routes if route.prefix.prefixlen > 0]
            handle = t.subject.make(list(interfaces), interfaces, known)
            t.transcript.say(f"{node.name}: your Router, with {_words(known)}")
            attachments.append(stack.enter_context(attach(handle, node, PORTS, announce=lambda _: None)))
        yield attachments


def _words(routes: Sequence[Route]) -> str:
    return f"routes to {', '.join(f'{route.prefix} via {route.via}' for route in routes)}"

"""Step 6 of the NAT: real pods and a real server, and the kernel's own translation on the node beside."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from grader.check import Failed, LearnerError, Step
from grader.checks.egress.trial import INSIDE, OUTSIDE, EgressTrial
from grader.live import where_it_died
from podpath import netns
from podpath.cluster import Cluster, ClusterError
from podpath.host import Host
from podpath.live import Attachment, attach
from podpath.players import Player
from podpath.topology import NODE_NETWORK, POD_NETWORK

DEADLINE = 3.0  # seconds until what has not come is taken for lost
_NAMES = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch"]
_PREFIX = "t-"  # the learner's own cluster may be up in the same sandbox
_NOTHING = "nothing came"
_PORTS = range(20000, 30000)  # of pods and servers; none that a NAT chooses by itself

STEP = Step("Step 6: live", live=True)


@STEP.check(
    "live-curl",
    "pods fetch pages from the internet, which sees the node's address, and pods see each other's own",
    1,
    "Outside the cluster a pod speaks in the name of its node; inside, in its own.",
    "NAT-49",
)
def pods_fetch(t: EgressTrial) -> None:
    with _cluster(t) as (cluster, node):
        pods = _pods(cluster, node)
        cluster.serve(cluster.internet)
        if cluster.ping(pods[0], cluster.internet, deadline=0.2):
            raise RuntimeError("a pod reaches the internet without a NAT: this sandbox is not what it should be")
        t.transcript.say("without a NAT no pod of this node reaches the internet")
        with _attached(t, cluster, node) as attachment:
            for pod in pods:
                _pings(t, cluster, attachment, pod, cluster.internet)
                _fetches(t, cluster, attachment, pod, cluster.internet, node.ip, "its node's address")
            other = next(pod for pod in cluster.pods if pod not in pods)
            cluster.serve(other)
            _pings(t, cluster, attachment, pods[0], other)
            _fetches(t, cluster, attachment, pods[0], other, pods[0].ip, "the pod's own address")
            _raise_failures(t, attachment)


def _pings(t: EgressTrial, cluster: Cluster, attachment: Attachment, pod: Host, other: Host) -> None:
    if cluster.ping(pod, other, DEADLINE):
        t.transcript.say(f"{pod.name} pings {other.name}: it is answered")
        return
    _raise_failures(t, attachment)
    t.transcript.wrong(f"{pod.name} pings {other.name}: no answer")
    died = where_it_died(t.transcript, cluster, pod, other)
    raise Failed(f"{pod.name} pings {other.name} and gets no answer within {DEADLINE:g} s.{died}")


def _fetches(
    t: EgressTrial, cluster: Cluster, attachment: Attachment, pod: Host, server: Host, wanted: str, whose: str
) -> None:
    """curl; and what the server has written into its log."""
    event = f"{pod.name} fetches http://{server.ip}/{pod.name}"
    try:
        cluster.curl(pod, f"http://{server.ip}/{pod.name}", DEADLINE)
    except ClusterError as error:
        _raise_failures(t, attachment)
        t.transcript.wrong(f"{event}: it does not come")
        raise Failed(f"{error}. Pings pass; are the checksums of TCP right?") from None
    log = cluster.curl(server, "http://127.0.0.1/log").splitlines()
    address = log[-1].split()[0]
    if address != wanted:
        t.transcript.wrong(f"{event}: {server.name} was asked by {address}")
        raise Failed(f"{server.name} sees {address}; it must see {wanted}, which is {whose}.")
    t.transcript.say(f"{event}: {server.name} was asked by {address}")


@STEP.check(
    "live-kernel",
    "it all looks as on a node where the kernel masquerades",
    1,
    "The kernel's MASQUERADE is the measure: what pods and servers see behind your NAT, they see behind the kernel's.",
    "NAT-11",
    "NAT-35",
    "NAT-46",
)
def as_the_kernel(t: EgressTrial) -> None:
    with _cluster(t) as (cluster, node), _attached(t, cluster, node) as attachment:
        kernels = next(other for other in cluster.nodes if other is not node)
        for event, play in _PLAYS.items():
            ports = t.random.sample(_PORTS, 2)
            wanted, got = (_Scene(cluster, one, ports).played(play) for one in (kernels, node))
            _raise_failures(t, attachment)
            if wanted != got:
                t.transcript.wrong(f"{event}: behind the kernel's NAT {wanted}; behind yours {got}")
                raise Failed(f"{event}: behind the kernel's NAT {wanted}; behind yours {got}.")
            t.transcript.say(f"{event}: {got}")


class _Scene:
    """Two pods of a node, and a server on the internet, with sockets in all of them."""

    def __init__(self, cluster: Cluster, node: Host, ports: list[int]) -> None:
        self.cluster, self.node = cluster, node
        self.pods = _pods(cluster, node)
        self.port, self.server_port = ports
        self.there = (cluster.internet.ip, self.server_port)
        self._stack = contextlib.ExitStack()

    def played(self, play: Callable[["_Scene"], str]) -> str:
        """What comes of a play, in words."""
        with self._stack:
            try:
                return play(self)
            except (TimeoutError, OSError) as error:
                return _NOTHING if isinstance(error, TimeoutError) else f"it fails: {error.strerror}"

    def socket(self, host: Host, kind: socket.SocketKind, port: int) -> socket.socket:
        """A socket at a port of a host, which gives up after DEADLINE."""
        with netns.inside(host.netns):
            opened = self._stack.enter_context(socket.socket(socket.AF_INET, kind))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((host.ip, port))
        opened.settimeout(DEADLINE)
        return opened

    def whose(self, seen: tuple[str, int]) -> str:
        """The address and port that a server sees."""
        owners = {self.node.ip: "the node"} | {pod.ip: f"pod {n}" for n, pod in enumerate(self.pods, start=1)}
        return f"{owners.get(seen[0], 'somebody else')}, {'the same' if seen[1] == self.port else 'another'} port"


def _tcp(scene: _Scene) -> str:
    """Both pods connect from one port at a time, and send and get something."""
    server, told = scene.socket(scene.cluster.internet, socket.SOCK_STREAM, scene.server_port), []
    server.listen()
    held = []
    for pod in scene.pods:
        client = scene.socket(pod, socket.SOCK_STREAM, scene.port)
        client.connect(scene.there)
        accepted, seen = server.accept()
        accepted = scene._stack.enter_context(accepted)
        held.append((pod, client, accepted))
        told.append(scene.whose(seen))
    for pod, client, accepted in held:
        accepted.sendall(pod.name.encode() * 1000)
        wanted = len(pod.name) * 1000
        got = b""
        while len(got) < wanted:
            got += client.recv(1 << 16) or b"?" * wanted
        told.append("its own answer" if got == pod.name.encode() * 1000 else "another's answer")
    return "; ".join(told)


def _udp(scene: _Scene) -> str:
    """Both pods send from one port; a stranger's datagram comes between."""
    server, told = scene.socket(scene.cluster.internet, socket.SOCK_DGRAM, scene.server_port), []
    stranger = scene.socket(scene.cluster.internet, socket.SOCK_DGRAM, scene.server_port ^ 1)
    for pod in scene.pods:
        client = scene.socket(pod, socket.SOCK_DGRAM, scene.port)
        client.sendto(b"who am I?", scene.there)
        _, seen = server.recvfrom(100)
        stranger.sendto(b"stranger", seen)
        server.sendto(pod.name.encode(), seen)
        answer, sender = client.recvfrom(100)
        came = "its own answer" if (answer, sender) == (pod.name.encode(), scene.there) else "a stranger's datagram"
        told.append(f"{scene.whose(seen)}, {came}")
    return "; ".join(told)


def _large(scene: _Scene) -> str:
    """A datagram that needs four fragments, there and back."""
    server = scene.socket(scene.cluster.internet, socket.SOCK_DGRAM, scene.server_port)
    client = scene.socket(scene.pods[0], socket.SOCK_DGRAM, scene.port)
    for one in (server, client):
        one.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: may be fragmented
    client.sendto(bytes(range(250)) * 20, scene.there)
    asked, seen = server.recvfrom(1 << 16)
    server.sendto(asked[::-1], seen)
    return "whole" if client.recv(1 << 16) == (bytes(range(250)) * 20)[::-1] else "not the same"


def _refused(scene: _Scene) -> str:
    """Nobody listens at the port: the server's kernel says so, by ICMP."""
    client = scene.socket(scene.pods[0], socket.SOCK_DGRAM, scene.port)
    client.connect(scene.there)
    client.send(b"anybody there?")
    try:
        client.recv(100)
    except ConnectionRefusedError:
        return "the pod is told that nobody listens"
    return "an answer from nowhere"


def _near(scene: _Scene) -> str:
    """To a pod of the other node."""
    peer = next(pod for pod in scene.cluster.pods if pod not in scene.pods)
    server = scene.socket(peer, socket.SOCK_DGRAM, scene.server_port)
    client = scene.socket(scene.pods[0], socket.SOCK_DGRAM, scene.port)
    client.sendto(b"who am I?", (peer.ip, scene.server_port))
    return scene.whose(server.recvfrom(100)[1])


_PLAYS: dict[str, Callable[[_Scene], str]] = {
    "two pods connect to a server, both from the same port": _tcp,
    "two pods send datagrams, both from the same port, and a stranger sends some back": _udp,
    "a datagram in fragments, and its answer": _large,
    "a datagram to a port where nobody listens": _refused,
    "a datagram to a pod on the other node": _near,
}


@contextlib.contextmanager
def _cluster(t: EgressTrial) -> Iterator[tuple[Cluster, Host]]:
    """Two nodes of two pods; and which of the nodes is the learner's."""
    names = t.random.sample(_NAMES, 4)
    players: list[Player] = t.random.sample(["learner", "kernel"], 2)
    with Cluster(2, [names[:2], names[2:]], {"egress": players}, prefix=_PREFIX) as cluster:
        yield cluster, cluster.nodes[players.index("learner")]


def _pods(cluster: Cluster, node: Host) -> list[Host]:
    return [pod for pod in cluster.pods if cluster.plan.hosts[pod.name].node == node.name]


@contextlib.contextmanager
def _attached(t: EgressTrial, cluster: Cluster, node: Host) -> Iterator[Attachment]:
    public = IPv4Address(node.ip)
    datapath = t.subject.make([INSIDE, OUTSIDE], public, POD_NETWORK, exempt=[NODE_NETWORK])
    t.transcript.say(f"EgressNat({public}, {POD_NETWORK}, exempt=[{NODE_NETWORK}]) at the uplink of {node.name}")
    with attach(datapath, node, [INSIDE, OUTSIDE], announce=lambda _: None) as attachment:
        yield attachment


def _raise_failures(t: EgressTrial, attachment: Attachment) -> None:
    """What the learner's code raised while frames crossed it is what the learner should read first."""
    for failure in attachment.failures:
        t.transcript.wrong(str(failure).splitlines()[0])
        cause = failure.cause
        raise LearnerError(str(cause) if isinstance(cause, LearnerError) else failure.error)

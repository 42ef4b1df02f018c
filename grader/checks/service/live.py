"""The last step: real pods and real connections, and the kernel's own Services on the node beside."""

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address

from grader.check import Failed, Step
from grader.checks.service.trial import NETWORK, POD, ServiceTrial, told
from grader.live import raise_failures
from podpath import netns
from podpath.cluster import Cluster
from podpath.configuration import Endpoint, Service
from podpath.host import Host
from podpath.live import Attachment, attach
from podpath.players import Player
from podpath.shares import NO_ANSWER, ask
from podpath.values import Chance

DEADLINE = 3.0  # seconds until what has not come is taken for lost
_NAMES = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch"]
_PREFIX = "t-"  # the learner's own cluster may be up in the same sandbox
_FETCHES = 40

STEP = Step("Live: the proxy", live=True)


@STEP.check(
    "live",
    "pods reach Services through your proxy as they do on a node where the kernel plays them",
    1,
    "The kernel is the measure: what a pod sees of a Service behind your proxy, it sees behind the kernel's rules.",
    "SVC-29",
    "SVC-30",
    "SVC-57",
)
def live(t: ServiceTrial) -> None:
    names = t.random.sample(_NAMES, 4)
    players: list[Player] = t.random.sample(["learner", "kernel"], 2)
    with Cluster(2, [names[:2], names[2:]], {"services": players}, prefix=_PREFIX) as cluster:
        scene = _Scene(t, cluster)
        with scene.attached():
            _everybody_fetches(t, scene)
            mine, kernels = (scene.of("learner")[0], scene.of("kernel")[0])
            for event, play in _PLAYS.items():
                wanted, got = (scene.played(play, pod) for pod in (kernels, mine))
                raise_failures(t.transcript, *scene.attachments)
                if wanted != got:
                    t.transcript.wrong(f"{event}: by the kernel's rules {wanted}; through your proxy {got}")
                    raise Failed(f"{event}: by the kernel's rules {wanted}; through your proxy {got}.")
                t.transcript.say(f"{event}: {got}")


class _Scene:
    """Four pods on two nodes, and Services in front of them."""

    def __init__(self, t: ServiceTrial, cluster: Cluster) -> None:
        self.t, self.cluster = t, cluster
        self.attachments: list[Attachment] = []
        self._stack = contextlib.ExitStack()
        port = t.random.randrange(8000, 9000)
        for pod in cluster.pods:
            cluster.serve(pod, port)
        self.echo = cluster.pods[t.random.randrange(4)]
        everyone = tuple(Endpoint(IPv4Address(pod.ip), port) for pod in cluster.pods)
        self.web = self._service("web", 80, "TCP", everyone)
        self.empty = self._service("empty", 81, "TCP", ())
        self.echoed = self._service("echo", 7, "UDP", (Endpoint(IPv4Address(self.echo.ip), port + 1000),))
        self.silent = self._service("silent", 9, "UDP", (Endpoint(IPv4Address(self.echo.ip), port + 1001),))
        self.unheard = self._service("unheard", 10, "UDP", ())
        self.services = [self.web, self.empty, self.echoed, self.silent, self.unheard]

    def _service(self, name: str, port: int, protocol: str, endpoints: tuple[Endpoint, ...]) -> Service:
        number = self.t.random.randrange(1, 1 << 16)
        address = IPv4Address(f"10.96.{number >> 8}.{number & 255}")
        return Service(f"default/{name}:{name}", address, port, protocol, endpoints)

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """The learner's proxies are at work, and so are the kernel's rules."""
        self.cluster.services(self.services)
        chance = self.t.random.getrandbits(32)
        with contextlib.ExitStack() as stack:
            for number, pod in enumerate(self.of("learner")):
                datapath = self.t.subject.make([POD, NETWORK], self.services, Chance(chance + number))
                one = attach(datapath, pod, [POD, NETWORK], announce=lambda _: None)
                self.attachments.append(stack.enter_context(one))
            self.t.transcript.say(f"a ServiceProxy({told(self.services)}, rng) at the cable of each pod of a node")
            yield

    def of(self, player: Player) -> list[Host]:
        """The pods on the node whose Services are played so."""
        return [pod for pod in self.cluster.pods if self.cluster.plan.hosts[pod.name].services == player]

    def played(self, play: Callable[["_Scene", Host], str], pod: Host) -> str:
        """What comes of a play, in words."""
        with self._stack:
            try:
                return play(self, pod)
            except TimeoutError:
                return "nothing came"
            except OSError as error:
                return f"{error.strerror}".lower()

    def socket(self, host: Host, kind: socket.SocketKind) -> socket.socket:
        """A socket of a host, which gives up after DEADLINE."""
        with netns.inside(host.netns):
            opened = self._stack.enter_context(socket.socket(socket.AF_INET, kind))
        opened.settimeout(DEADLINE)
        return opened


def _everybody_fetches(t: ServiceTrial, scene: _Scene) -> None:
    """Every pod of the learner's, the web page of the Service, many times: everybody answers, itself included."""
    servers = {pod.name for pod in scene.cluster.pods}
    url = f"http://{scene.web.address}:{scene.web.port}/"
    for pod in scene.of("learner"):
        if not _reaches(scene.cluster, pod):
            raise_failures(t.transcript, *scene.attachments)
            raise Failed(f"{pod.name} cannot even ping another pod: what has to do with no Service passes untouched.")
        told_by = ask(pod, url, _FETCHES)
        raise_failures(t.transcript, *scene.attachments)
        event = f"{pod.name} fetches {url} {_FETCHES} times"
        if told_by[NO_ANSWER]:
            t.transcript.wrong(f"{event}: {_shares(told_by, servers)}")
            raise Failed(f"{event}, and {told_by[NO_ANSWER]} times nothing came within a second.")
        if missing := sorted(servers - set(told_by)):  # by chance less than once in 25,000 trials: see below
            told_by += ask(pod, url, 3 * _FETCHES)  # and now less than once in 10^19
            if missing := sorted(servers - set(told_by)):
                t.transcript.wrong(f"{event}: {_shares(told_by, servers)}")
                raise Failed(f"{event}, and {missing[0]}, which is an endpoint, has never answered.")
        t.transcript.say(f"{event}: all four endpoints have answered, {pod.name} itself among them")


def _reaches(cluster: Cluster, pod: Host) -> bool:
    return all(cluster.ping(pod, other, DEADLINE) for other in cluster.pods if other is not pod)


def _shares(told_by: Counter[str], servers: Sequence[str] | set[str]) -> str:
    return ", ".join(f"{name} {told_by[name]}" for name in [*sorted(servers), NO_ANSWER])


def _connects(scene: _Scene, pod: Host) -> str:
    """A connection that nobody takes."""
    client = scene.socket(pod, socket.SOCK_STREAM)
    client.connect((str(scene.empty.address), scene.empty.port))
    return "connected"


def _hears(scene: _Scene, pod: Host) -> str:
    """A datagram and its answer."""
    with netns.inside(scene.echo.netns):
        server = scene._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind((scene.echo.ip, scene.echoed.endpoints[0].port))
    server.settimeout(DEADLINE)
    client = scene.socket(pod, socket.SOCK_DGRAM)
    client.connect((str(scene.echoed.address), scene.echoed.port))
    client.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: may be fragmented
    for size in (10, 4000):
        client.send(bytes(range(250)) * (size // 250 + 1))
        asked, whence = server.recvfrom(1 << 16)
        server.sendto(asked[::-1], whence)
        if client.recv(1 << 16) != asked[::-1]:
            return "another answer"
    return "answered, by the Service's address"


def _port_nobody_has(scene: _Scene, pod: Host) -> str:
    """The endpoint's kernel says by ICMP that nobody listens."""
    return _refused(scene, pod, scene.silent)


def _service_nobody_has(scene: _Scene, pod: Host) -> str:
    return _refused(scene, pod, scene.unheard)


def _refused(scene: _Scene, pod: Host, service: Service) -> str:
    client = scene.socket(pod, socket.SOCK_DGRAM)
    client.connect((str(service.address), service.port))
    client.send(b"anybody there?")
    client.recv(100)
    return "an answer from nowhere"


_PLAYS: dict[str, Callable[[_Scene, Host], str]] = {
    "TCP to a Service without endpoints": _connects,
    "UDP to a Service without endpoints": _service_nobody_has,
    "datagrams to a Service, small and in fragments": _hears,
    "a datagram to a Service whose endpoint does not listen": _port_nobody_has,
}

"""Step 4 of the pod: its address, which all its containers share."""

from ipaddress import IPv4Address, IPv4Interface

from grader.check import Step
from grader.checks.pod import containers, outside
from grader.checks.pod.trial import PodTrial
from grader.checks.pod.watched import Watched

STEP = Step("Step 4: an address")


def address(t: PodTrial) -> tuple[IPv4Interface, IPv4Address]:
    """An address that no pod has yet, and its gateway, in a network of their own."""
    prefix = t.random.randrange(24, 31)
    network = (IPv4Address("172.16.0.0") + t.random.randrange(0x1000) * 256).packed[:3]
    size = 1 << (32 - prefix)
    start = int.from_bytes(network + bytes([t.random.randrange(256 // size) * size]), "big")
    own, gateway = t.random.sample(range(1, size - 1), 2)
    return IPv4Interface((start + own, prefix)), IPv4Address(start + gateway)


def asked_by_host(t: PodTrial, pod: Watched, at: IPv4Interface, port: int, text: str) -> None:
    """The host connects to the pod's address; the pod must answer with the text."""
    what = f"the host connects to {at.ip}:{port}, which is {pod.name}"
    try:
        got = outside.ask(t.view.home, str(at.ip), port)
    except OSError as error:
        raise t.fail(
            what,
            f"The host connects to {at.ip}:{port}, where a container of the pod listens: {error.strerror or error}. Both "
            "ends of the cable must be up, and have their addresses.",
        ) from None
    if got != text:
        raise t.fail(what, f"{at.ip}:{port} was not answered by the container of {pod.name}, but by another.")
    t.transcript.say(f"{what}: its container answers")


@STEP.check(
    "address",
    "a pod with an address reaches the host and is reached by it, under that address",
    2,
    "One end of a veth pair is eth0 in the pod, the other stays with the host; the default route leads to the host's.",
    "veth(4)",
    "Kubernetes: The Kubernetes network model",
)
def has_address(t: PodTrial) -> None:
    pod = t.started(f"frontend-of-the-shop-{t.text()}")
    at, gateway = address(t)
    text, port = t.text(), t.port()
    pod.add(containers.server("web", port, text))
    pod.connect(at, gateway)
    asked_by_host(t, pod, at, port, text)
    routes = outside.ip(pod.pause.pid, "route", "show", "default")
    shown = [f"via {one.get('gateway')} dev {one.get('dev')}" for one in routes]
    if shown != [f"via {gateway} dev eth0"]:
        raise t.fail(
            f"{pod.name}: its default route is {', '.join(shown) or 'missing'}",
            f"In the pod, the default route must lead to the gateway: default via {gateway} dev eth0.",
        )
    t.transcript.say(f"{pod.name}: its default route is {shown[0]}")
    seen = outside.seen_as(pod.pause.pid, t.view.home, str(gateway))
    if seen != str(at.ip):
        raise t.fail(
            f"{pod.name}: a process in the pod connects to {gateway}, the host: {seen}",
            f"A process in the pod connects to the host at {gateway}; the host should see {at.ip} do so.",
        )
    t.transcript.say(f"{pod.name}: a process in the pod connects to {gateway}, and the host sees {seen}")


@STEP.check(
    "two-pods",
    "two pods may both have port 80",
    1,
    "Ports belong to a network namespace. Two pods have two, and each its own port 80.",
    "network_namespaces(7)",
    "Kubernetes: The Kubernetes network model",
)
def two_pods(t: PodTrial) -> None:
    stem = f"checkout-backend-{t.text()[:5]}"
    pods: list[tuple[Watched, IPv4Interface, str]] = []
    for number in range(3):
        pod = t.started(f"{stem}-{number}")
        at, gateway = address(t)
        while any(at.network.overlaps(other.network) for _, other, _ in pods):
            at, gateway = address(t)
        pod.connect(at, gateway)
        text = t.text()
        pod.add(containers.server("web", 80, text))
        pods.append((pod, at, text))
    for pod, at, text in pods:
        asked_by_host(t, pod, at, 80, text)
        owners = outside.listeners(t.view, pod.pause).get(80)
        if owners != {pod.containers["web"]}:
            raise t.fail(
                f"{pod.name}: who listens on port 80?", "Port 80 of the pod is not held by its own container."
            )
    t.transcript.say("port 80 of each pod is held by its own container")
    if not outside.refuses(t.view.home, "127.0.0.1", 80):
        raise t.fail("localhost:80 of the host is asked", "Port 80 of a pod is open on the host's localhost, too.")

"""Step 5 of the bridge: Linux hosts talk through the learner's bridge, and the kernel's bridge is the judge."""

import contextlib
import struct
import time
from collections.abc import Callable, Iterator

from grader.check import Failed, Step
from grader.checks.bridge.trial import EXPERIMENTAL, BridgeTrial
from grader.live import all_ping, raise_failures
from podpath.cluster import Cluster
from podpath.live import Attachment, attach
from podpath.packets import BROADCAST, ethernet, mac, mac_text
from podpath.tap import Seen, Tap
from podpath.topology import Network

DEADLINE = 3.0  # seconds until a frame that has not arrived is taken for lost
_NAMES = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch"]
_PREFIX = "t-"  # the learner's own cluster may be up in the same sandbox


STEP = Step("Step 5: live", live=True)


@STEP.check(
    "live-ping",
    "real pods ping each other through it",
    1,
    "Linux hosts know nothing of your bridge; their ARP and ICMP must simply pass.",
)
def pods_ping(t: BridgeTrial) -> None:
    with _cluster(t, "learner") as cluster:
        before = cluster.reachability(deadline=0.2)
        if any(before.echoes.values()):
            raise RuntimeError("pods reach each other without a bridge: this sandbox is not what it should be")
        t.transcript.say("without a bridge no pod reaches another")
        with _attached(t, cluster) as attachment:
            hosts = [*cluster.pods, cluster.nodes[0]]
            all_ping(t.transcript, cluster, [attachment], DEADLINE, " through your bridge", hosts)


@STEP.check(
    "live-private",
    "what one pod sends to another is seen by no third",
    1,
    "Once both have spoken, frames between two pods pass on their two ports only.",
    "BR-06",
)
def third_pods_see_nothing(t: BridgeTrial) -> None:
    with _cluster(t, "learner") as cluster, _attached(t, cluster) as attachment, Tap(cluster.pods) as tap:
        names = [pod.name for pod in cluster.pods]
        sender, receiver, *others = t.random.sample(names, len(names))
        try:
            _settle(t, tap, cluster, "your bridge", attachment)
        finally:
            raise_failures(t.transcript, attachment)
        a, b = (b"\x0a\x58\xfe" + t.random.randbytes(3) for _ in range(2))
        first, *rest = (_numbered(b if n else a, a if n else b, n, t) for n in range(21))
        tap.send(receiver, first)
        seen = tap.collect(_reached(first, {sender, *others}), DEADLINE)
        reached = {s.host for s in seen if s.frame == first}
        raise_failures(t.transcript, attachment)
        if reached != {sender, *others}:
            t.transcript.wrong(
                f"{receiver} -> {sender}, not known yet: reaches {', '.join(sorted(reached)) or 'nobody'}"
            )
            raise Failed(
                f"A frame to a station that has not spoken must reach {', '.join(sorted({sender, *others}))}."
            )
        t.transcript.say(f"{receiver} -> {sender}, not known yet: reaches all others")
        for frame in rest:
            tap.send(sender, frame)
        last = _numbered(BROADCAST, a, 99, t)
        tap.send(sender, last)  # what was sent before it has arrived when this one has
        seen = tap.collect(_reached(last, {receiver, *others}), DEADLINE)
        raise_failures(t.transcript, attachment)
        _judge_private(t, seen, rest, sender, receiver)


def _judge_private(t: BridgeTrial, seen: list[Seen], sent: list[bytes], sender: str, receiver: str) -> None:
    where = [s.host for s in seen if s.frame in sent]
    strangers = sorted(set(where) - {receiver})
    if strangers:
        t.transcript.wrong(f"{sender} -> {receiver}, {len(sent)} frames: seen by {', '.join(strangers)} as well")
        raise Failed(
            f"{', '.join(strangers)} can listen to what {sender} sends to {receiver}, though both have spoken."
        )
    if where.count(receiver) != len(sent):
        t.transcript.wrong(f"{sender} -> {receiver}, {len(sent)} frames: {where.count(receiver)} arrive")
        raise Failed(f"Of {len(sent)} frames from {sender} to {receiver}, {where.count(receiver)} arrived.")
    t.transcript.say(f"{sender} -> {receiver}, {len(sent)} frames: seen by {receiver}, and by nobody else")


@STEP.check(
    "live-kernel",
    "the same frames leave by the same ports as from the kernel's bridge",
    1,
    "The kernel's bridge follows the same standard: where it sends a frame, yours sends it.",
)
def as_the_kernel(t: BridgeTrial) -> None:
    count = t.random.randrange(4, 6)
    names = t.random.sample(_NAMES, count)
    trace = _trace(t, [f"{_PREFIX}{name}" for name in names])
    with _cluster(t, "kernel", names) as cluster:
        kernels = _replay(t, cluster, trace, "the kernel's bridge")
    with _cluster(t, "learner", names) as cluster, _attached(t, cluster) as attachment:
        try:
            yours = _replay(t, cluster, trace, "your bridge", attachment)
        finally:
            raise_failures(t.transcript, attachment)
    for number, ((sender, frame), kernel, own) in enumerate(zip(trace, kernels, yours, strict=True), start=1):
        event = f"frame {number}, {mac_text(frame[6:12])} -> {mac_text(frame[:6])} from {sender}"
        if kernel != own:
            t.transcript.wrong(f"{event}: the kernel's bridge sends it to {_to(kernel)}, yours to {_to(own)}")
            raise Failed(
                f"For the same frames the kernel's bridge sent this one to {_to(kernel)}, yours to {_to(own)}."
            )
        t.transcript.say(f"{event}: both send it to {_to(kernel)}")


def _to(hosts: set[str]) -> str:
    return ", ".join(sorted(hosts)) or "nobody"


def _trace(t: BridgeTrial, names: list[str]) -> list[tuple[str, bytes]]:
    """Frames of a few stations, some of which move; each says its number, so that none is like another."""
    homes = {b"\x0a\x58" + t.random.randbytes(4): t.random.choice(names) for _ in range(7)}
    stations = list(homes)
    trace = []
    for number in range(30):
        source = t.random.choice(stations)
        if t.random.random() < 0.15:
            homes[source] = t.random.choice(names)
        destination = t.random.choice([*stations, *stations, BROADCAST, mac("33:33:00:00:00:02")])
        trace.append((homes[source], _numbered(destination, source, number, t)))
    return trace


def _replay(
    t: BridgeTrial,
    cluster: Cluster,
    trace: list[tuple[str, bytes]],
    whose: str,
    attachment: Attachment | None = None,
) -> list[set[str]]:
    """Which pods each frame reaches. A broadcast after each frame shows when it has got wherever it goes."""
    reached = []
    with Tap(cluster.pods) as tap:
        _settle(t, tap, cluster, whose, attachment)
        for number, (sender, frame) in enumerate(trace):
            marker = _marker(t, cluster, sender, number)
            tap.send(sender, frame)
            tap.send(sender, marker)
            everyone = {pod.name for pod in cluster.pods} - {sender}
            seen = tap.collect(_reached(marker, everyone), DEADLINE)
            _raise_if_missing(t, everyone - {s.host for s in seen if s.frame == marker}, sender, whose)
            reached.append({s.host for s in seen if s.frame == frame})
    t.transcript.say(f"{len(trace)} frames through {whose}")
    return reached


def _settle(t: BridgeTrial, tap: Tap, cluster: Cluster, whose: str, attachment: Attachment | None) -> None:
    """Wait until a broadcast from each pod reaches all others: cables that have just been plugged in lose some.

    There is nothing to wait for once the learner's code has failed.
    """
    names = {pod.name for pod in cluster.pods}
    for sender in sorted(names):
        until = time.monotonic() + DEADLINE
        missing = names - {sender}
        while missing and time.monotonic() < until and not (attachment and attachment.failures):
            marker = _marker(t, cluster, sender, -1)
            tap.send(sender, marker)
            seen = tap.collect(_reached(marker, missing), 0.2)
            missing -= {s.host for s in seen if s.frame == marker}
        _raise_if_missing(t, missing, sender, whose)


def _marker(t: BridgeTrial, cluster: Cluster, sender: str, number: int) -> bytes:
    """A broadcast from a station at `sender` that sends nothing else."""
    station = b"\x0a\x58\xff" + bytes([cluster.pods.index(cluster[sender])]) * 3
    return _numbered(BROADCAST, station, 1000 + number, t)


def _raise_if_missing(t: BridgeTrial, missing: set[str], sender: str, whose: str) -> None:
    if missing:
        t.transcript.wrong(f"{whose}: a broadcast from {sender} does not reach {_to(missing)}")
        raise Failed(f"A broadcast from {sender} did not reach {_to(missing)} through {whose} in {DEADLINE:g} s.")


def _reached(frame: bytes, hosts: set[str]) -> Callable[[list[Seen]], bool]:
    """Whether a frame has been seen at all these hosts."""
    return lambda seen: {s.host for s in seen if s.frame == frame} >= hosts


def _numbered(destination: bytes, source: bytes, number: int, t: BridgeTrial) -> bytes:
    return ethernet(destination, source, EXPERIMENTAL, struct.pack("!I", number) + t.random.randbytes(56))


@contextlib.contextmanager
def _cluster(t: BridgeTrial, network: Network, names: list[str] | None = None) -> Iterator[Cluster]:
    names = t.random.sample(_NAMES, 3) if names is None else names
    with Cluster(1, names, network, prefix=_PREFIX) as cluster:
        yield cluster


@contextlib.contextmanager
def _attached(t: BridgeTrial, cluster: Cluster) -> Iterator[Attachment]:
    node = cluster.nodes[0]
    ports = cluster.ports(node)
    datapath = t.subject.make(ports, list(ports))
    t.transcript.say(
        f"pods {', '.join(pod.name for pod in cluster.pods)} on one node; LearningBridge({ports}) between them"
    )
    with attach(datapath, node, announce=lambda _: None) as attachment:
        yield attachment

"""Step 6 of the overlay: pods talk through the learner's VTEP on one node and the kernel's on the other."""

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Address

from grader.check import Failed, Handle, Step
from grader.checks.vxlan.outer import HEADERS, Tunnel, fault, told
from grader.checks.vxlan.trial import OVERLAY, UNDERLAY, VxlanTrial, tcp
from grader.live import all_ping, raise_failures
from podpath.cluster import Cluster, ClusterError
from podpath.host import Host
from podpath.live import Attachment, attach
from podpath.packets import BROADCAST, ETH_ARP, ETH_IPV4, ETH_IPV6, TCP, UDP, arp, ethernet, hexdump, ipv4, mac, udp
from podpath.tap import Tap
from podpath.topology import OVERLAY as TUNNEL
from podpath.topology import OVERLAY_HEADERS, OVERLAY_PORT, Network, Player, cni_mac

DEADLINE = 3.0  # seconds until what has not arrived is taken for lost
_VNI = 1
_PREFIX = "t-"  # the learner's own cluster may be up in the same sandbox
_NAMES = ["amber", "birch", "cedar", "dune", "elm", "fern", "grove", "heath", "iris", "juniper", "kelp", "larch"]

STEP = Step("Step 6: live", live=True)


@STEP.check(
    "live-kernel",
    "pods ping each other and fetch pages through it and the kernel's VXLAN device, in both directions",
    1,
    "Both ends speak VXLAN: neither the pods nor the kernel at the other end can tell that one of them is yours.",
    "VX-16",
    "VX-28",
)
def with_the_kernel(t: VxlanTrial) -> None:
    players: list[Player] = ["learner", "kernel"]
    t.random.shuffle(players)
    names = t.random.sample(_NAMES, 4)
    with _cluster(t, {"overlay": players}, names) as cluster:
        pairs = [(a, b) for a in cluster.pods[:2] for b in cluster.pods[2:]]
        pairs += [(b, a) for a, b in pairs]
        if any(cluster.ping(a, b, 0.1) for a, b in pairs[:1]):
            raise RuntimeError("pods reach another node without a VTEP: this sandbox is not what it should be")
        t.transcript.say("without a VTEP no pod reaches the other node")
        own, other = cluster.nodes if players[0] == "learner" else cluster.nodes[::-1]
        with _attached(t, cluster, own, other) as attachment:
            all_ping(t.transcript, cluster, [attachment], DEADLINE)
            near, far = t.random.choice(pairs)
            for source, destination in ((near, far), (far, near)):
                _large(t, cluster, attachment, source, destination)
                _page(t, cluster, attachment, source, destination)


def _large(t: VxlanTrial, cluster: Cluster, attachment: Attachment, source: Host, destination: Host) -> None:
    """The largest packet that fits, in a frame of its own."""
    size = 1500 - OVERLAY_HEADERS - 28
    said = source.cmd(f"ping -c 3 -i 0.2 -W 1 -M do -s {size} {destination.ip}")
    raise_failures(t.transcript, attachment)
    event = f"{source.name} pings {destination.name} with {size} bytes of data: packets of 1450 bytes"
    if "bytes from" not in said:
        t.transcript.wrong(f"{event}: no answer")
        raise Failed(
            f"Small pings pass, but not the largest that must fit: frames of 1464 bytes, packets of {1464 + HEADERS}."
        )
    t.transcript.say(f"{event}: answered")


def _page(t: VxlanTrial, cluster: Cluster, attachment: Attachment, source: Host, destination: Host) -> None:
    text = t.random.randbytes(30_000).hex()
    cluster.serve(destination, text=text)
    event = f"{source.name} fetches a page of {len(text)} bytes from {destination.name}"
    try:
        came = cluster.curl(source, f"http://{destination.ip}", 3 * DEADLINE)
    except ClusterError:
        came = ""
    raise_failures(t.transcript, attachment)
    if came != text:
        t.transcript.wrong(f"{event}: {len(came)} bytes came, or not these")
        raise Failed(f"Pings pass, but a page does not: {source.name} did not get it from {destination.name}.")
    t.transcript.say(f"{event}: it came, every byte of it")


@STEP.check(
    "live-bytes",
    "its packets are the kernel's, but for what the standard leaves open",
    1,
    "For the same frame the kernel's VXLAN device makes the same packet: only identification, DF, TTL, source port and "
    "checksums may differ.",
    "VX-03",
    "VX-10",
    "VX-13",
)
def as_the_kernel(t: VxlanTrial) -> None:
    with _cluster(t, {"overlay": "kernel"}, t.random.sample(_NAMES, 2)) as cluster:
        receiver, sender = t.random.sample(cluster.nodes, 2)
        macs = [mac(cni_mac(_tunnel(cluster, node))) for node in (sender, receiver)]
        sender.cmd(f"bridge fdb append 00:00:00:00:00:00 dev {TUNNEL} dst {receiver.ip}")
        frames = _frames(t, macs[0], macs[1])
        kernels = _from_kernel(t, sender, receiver, frames)
        ends = IPv4Address(sender.ip), IPv4Address(receiver.ip)
        vtep = t.subject.make([OVERLAY, UNDERLAY], _VNI, ends[0], [ends[1]], udp_port=OVERLAY_PORT)
        vtep.call("add", macs[1], ends[1])
        for frame, kernel in zip(frames, kernels, strict=True):
            _compare(t, vtep, Tunnel(_VNI, *ends, OVERLAY_PORT, frame), kernel)


def _tunnel(cluster: Cluster, node: Host) -> IPv4Address:
    found = cluster.plan.hosts[node.name].tunnel
    assert found is not None
    return found


def _frames(t: VxlanTrial, own: bytes, far: bytes) -> list[bytes]:
    """Frames of many kinds from one node's tunnel device to the other's, or to all; each unlike the others."""
    pods = t.pod(), t.pod()
    tag = t.random.randbytes(4)
    payloads = [
        (far, ETH_IPV4, ipv4(*pods, UDP, udp(5353, 53, tag + b"question"))),
        (far, ETH_IPV4, ipv4(*pods, TCP, tcp(40000, 80, tag + t.random.randbytes(1300)))),
        (far, ETH_IPV6, b"\x60" + t.random.randbytes(59)),
        (far, 0x88B5, tag + t.random.randbytes(1446)),
        (far, 0x88B5, tag),
        (BROADCAST, ETH_ARP, arp(1, own, pods[0], bytes(6), pods[1])),
        (mac("01:00:5e:00:00:01"), ETH_IPV4, ipv4(pods[0], IPv4Address("224.0.0.1"), 2, tag)),
    ]
    t.random.shuffle(payloads)
    return [ethernet(to, own, kind, payload) for to, kind, payload in payloads]


def _from_kernel(t: VxlanTrial, sender: Host, receiver: Host, frames: list[bytes]) -> list[bytes]:
    """What the kernel's VXLAN device makes of frames."""
    with Tap([receiver]) as outside, Tap([sender], TUNNEL) as inside:
        for frame in frames:
            inside.send(sender.name, frame)
        arrived = outside.collect(lambda seen: set(frames) <= {one.frame[14 + HEADERS :] for one in seen}, DEADLINE)
    made = {one.frame[14 + HEADERS :]: one.frame[14:] for one in arrived if one.frame[23] == UDP}
    if missing := [frame for frame in frames if frame not in made]:
        raise RuntimeError(f"the kernel's VXLAN device did not send {len(missing)} of {len(frames)} frames")
    t.transcript.say(f"{len(frames)} frames through the kernel's {TUNNEL}")
    return [made[frame] for frame in frames]


def _compare(t: VxlanTrial, vtep: Handle, wanted: Tunnel, kernel: bytes) -> None:
    event = f"a frame of {len(wanted.frame)} bytes"
    sent = vtep.receive(OVERLAY, wanted.frame, t.now)
    if [port for port, _ in sent] != [UNDERLAY]:
        t.transcript.wrong(f"{event}: the kernel sends one packet, yours {len(sent)}")
        raise Failed(
            f"For the frame to {wanted.frame[:6].hex(':')} the kernel sent one packet, and your Vtep {len(sent)}."
        )
    own = sent[0][1]
    fixed = [0, 2, 3, 9, *range(12, 20), *range(22, 26), *range(28, len(kernel))]
    places = [at for at in fixed if own[at : at + 1] != kernel[at : at + 1]]
    wrong = fault(own, wanted)
    if not places and not wrong and len(own) == len(kernel):
        t.transcript.say(f"{event}: the same packet as the kernel's, {told(own)}")
        return
    t.transcript.wrong(f"{event}: yours is not like the kernel's")
    t.transcript.note(f"the kernel's:\n{hexdump(kernel[:64])}\nyours:\n{hexdump(own[:64], places)}")
    raise Failed(wrong or f"It differs from the kernel's at byte {places[0] if places else len(own)}.")


@contextlib.contextmanager
def _cluster(t: VxlanTrial, network: Network, names: list[str]) -> Iterator[Cluster]:
    half = len(names) // 2
    with Cluster(2, [names[:half], names[half:]], network, prefix=_PREFIX) as cluster:
        yield cluster


@contextlib.contextmanager
def _attached(t: VxlanTrial, cluster: Cluster, own: Host, other: Host) -> Iterator[Attachment]:
    """The learner's Vtep on a node: told of the other as flannel tells, or left to flood and learn."""
    flannel = t.random.random() < 0.5
    address, far = IPv4Address(own.ip), IPv4Address(other.ip)
    peers = [] if flannel else [far]
    vtep = t.subject.make([OVERLAY, UNDERLAY], _VNI, address, peers, udp_port=OVERLAY_PORT)
    t.transcript.say(
        f"Vtep({_VNI}, {address}, {list(map(str, peers))}, udp_port={OVERLAY_PORT}) on {own.name}; on {other.name} the kernel's"
    )
    if flannel:
        station = mac(cni_mac(_tunnel(cluster, other)))
        with t.transcript.step(f"add({station.hex(':')}, {far}), as flannel does"):
            vtep.call("add", station, far)
    with attach(vtep, own, [OVERLAY, UNDERLAY], announce=lambda _: None) as attachment:
        yield attachment

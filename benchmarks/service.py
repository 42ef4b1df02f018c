"""Small frames through a live Service proxy in Python, beside a bare loop; and what ten thousand flows cost. In a sandbox.

The load goes in at the pod's own end of its cable and comes out at the node's, in the middle of one flow. The program
and the load have a core each where there are two. Rounds alternate. What a flow among many costs is measured by calls
alone: there the load would be the slower of the two.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from comparison import Comparison, Target
from forwarders import bare_loop, running
from load import Load
from report import progress, write

from grader import checks, solution
from podpath import Cluster, attach
from podpath.configuration import Endpoint, Service
from podpath.host import Host
from podpath.packets import ETH_IPV4, UDP, ethernet, ipv4, mac, udp
from podpath.topology import NETWORK, POD, POD_NETWORK

ROUNDS, SECONDS = 11, 0.3
DEADLINE = 20.0  # until the first frame has passed
FLOWS, PACKETS = 10_000, 50_000
_MACS = [mac(f"0a:58:ff:00:00:0{n}") for n in (1, 2)]
_DNS = Service(
    "kube-system/kube-dns:dns",
    IPv4Address("10.96.0.10"),
    53,
    "UDP",
    tuple(Endpoint(POD_NETWORK[512 + n], 53) for n in range(2, 6)),
)


def reference() -> Callable[..., Any]:
    """The class of the reference solution."""
    made: Callable[..., Any] = solution.reference(checks.find("07"))["ServiceProxy"]
    return made


def proxy() -> Any:
    """One as it stands at a pod."""
    return reference()([_DNS], random.Random(7))


def live(pod: Host, ports: list[str]) -> None:
    """The reference solution, attached as a learner attaches it."""
    with attach(proxy(), pod, ports):
        signal.pause()


def frame(number: int) -> bytes:
    """A pod's question to the cluster's DNS, of a flow of its own."""
    packet = ipv4(POD_NETWORK[258], _DNS.address, UDP, udp(20000 + number, _DNS.port, bytes(18)))
    return ethernet(_MACS[1], _MACS[0], ETH_IPV4, packet)


def live_rates() -> tuple[dict[str, list[float]], int]:
    """Frames per second through each program, round by round, and how many frames were lost in all."""
    programs = {"reference": live, "bare": bare_loop}
    cores = sorted(os.sched_getaffinity(0))
    rates: dict[str, list[float]] = {name: [] for name in programs}
    with Cluster(1, 1, {"services": "learner"}) as cluster:
        node, pod = cluster.nodes[0], cluster.pods[0]
        node.cmd(f"ip link set to{pod.name} nomaster")  # or the bridge would take the frames
        with Load(pod, node, interfaces=("eth0", f"to{pod.name}"), frames=(frame(0), b"")) as load:
            os.sched_setaffinity(0, {cores[0]})
            order = list(programs)
            for number in range(ROUNDS):
                for name in order:
                    with running(programs[name], pod, [POD, NETWORK], cores[-1]):
                        if not load.passes_one_way(DEADLINE):
                            raise RuntimeError(f"not one frame has passed {name} in {DEADLINE:g} s")
                        rates[name].append(load.rate(SECONDS))
                order.append(order.pop(0))
                progress(f"service: round {number + 1} of {ROUNDS}")
            return rates, load.lost


def packets_a_second(flows: int) -> float:
    """How many packets of so many flows, in turn, a proxy translates in a second, by calls alone."""
    one, frames = proxy(), [frame(number) for number in range(flows)]
    for each in frames:
        if one.receive(POD, each, 0.0) in ([], [(NETWORK, each)]):
            raise RuntimeError("a flow is not translated: this measures nothing")
    began = time.perf_counter()
    for _ in range(PACKETS // flows):
        for each in frames:
            one.receive(POD, each, 1.0)
    return PACKETS / (time.perf_counter() - began)


def main() -> None:
    rates, lost = live_rates()
    many, single = [], []
    for number in range(ROUNDS):
        single.append(packets_a_second(1))
        many.append(packets_a_second(FLOWS))
        progress(f"service-flows: round {number + 1} of {ROUNDS}")
    write(
        [
            Comparison(
                "service",
                "60-byte frames of one flow through the reference ServiceProxy of lab 07, attached live",
                "a bare loop: epoll, recv, send",
                "frames/s",
                rates["reference"],
                rates["bare"],
                Target(0.5, "at least"),
                f"{lost} frames were lost on the way" if lost else "",
            ),
            Comparison(
                "service-flows",
                f"packets of {FLOWS:,} flows in turn through the same, by calls alone",
                "packets of one flow",
                "packets/s",
                many,
                single,
                Target(0.5, "at least"),
            ),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

"""Small frames through a live NAT in Python, beside a bare loop; and what ten thousand flows cost. In a sandbox.

The load goes in at the node's own end of its cable and comes out at the fabric's, in the middle of one flow. The program
and the load have a core each where there are two. Rounds alternate. What a flow among many costs is measured by calls
alone: there the load would be the slower of the two.
"""

import os
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
from podpath.host import Host
from podpath.packets import ETH_IPV4, UDP, ethernet, ipv4, mac, udp
from podpath.topology import INSIDE, INTERNET, NODE_NETWORK, OUTSIDE, POD_NETWORK

ROUNDS, SECONDS = 11, 0.3
DEADLINE = 20.0  # until the first frame has passed
FLOWS, PACKETS = 10_000, 50_000
_MACS = [mac(f"0a:58:ff:00:00:0{n}") for n in (1, 2)]


def reference() -> Callable[..., Any]:
    """The class of the reference solution."""
    made: Callable[..., Any] = solution.reference(checks.find("10"))["EgressNat"]
    return made


def nat(public: IPv4Address) -> Any:
    """One as it stands on a node."""
    return reference()(public, POD_NETWORK, exempt=[NODE_NETWORK])


def live(node: Host, ports: list[str]) -> None:
    """The reference solution, attached as a learner attaches it."""
    with attach(nat(IPv4Address(node.ip)), node, ports):
        signal.pause()


def frame(number: int) -> bytes:
    """A pod's datagram to the internet, of a flow of its own."""
    pod = POD_NETWORK[258 + number % 100]
    packet = ipv4(pod, INTERNET.ip, UDP, udp(20000 + number // 100, 53, bytes(18)))
    return ethernet(_MACS[1], _MACS[0], ETH_IPV4, packet)


def live_rates() -> tuple[dict[str, list[float]], int]:
    """Frames per second through each program, round by round, and how many frames were lost in all."""
    programs = {"reference": live, "bare": bare_loop}
    cores = sorted(os.sched_getaffinity(0))
    rates: dict[str, list[float]] = {name: [] for name in programs}
    with Cluster(1, 1, {"egress": "learner"}) as cluster:
        node, fabric = cluster.nodes[0], cluster.fabric
        fabric.cmd("ip link set tonode1 nomaster")  # or its bridge would take the frames
        with Load(node, fabric, interfaces=("eth0", "tonode1"), frames=(frame(0), b"")) as load:
            os.sched_setaffinity(0, {cores[0]})
            order = list(programs)
            for number in range(ROUNDS):
                for name in order:
                    with running(programs[name], node, [INSIDE, OUTSIDE], cores[-1]):
                        if not load.passes_one_way(DEADLINE):
                            raise RuntimeError(f"not one frame has passed {name} in {DEADLINE:g} s")
                        rates[name].append(load.rate(SECONDS))
                order.append(order.pop(0))
                progress(f"egress: round {number + 1} of {ROUNDS}")
            return rates, load.lost


def packets_a_second(flows: int) -> float:
    """How many packets of so many flows, in turn, a NAT translates in a second, by calls alone."""
    one, frames = nat(IPv4Address("172.16.0.1")), [frame(number) for number in range(flows)]
    for each in frames:
        if not one.receive(INSIDE, each, 0.0):
            raise RuntimeError("a flow is not translated: this measures nothing")
    began = time.perf_counter()
    for _ in range(PACKETS // flows):
        for each in frames:
            one.receive(INSIDE, each, 1.0)
    return PACKETS / (time.perf_counter() - began)


def main() -> None:
    rates, lost = live_rates()
    many, single = [], []
    for number in range(ROUNDS):
        single.append(packets_a_second(1))
        many.append(packets_a_second(FLOWS))
        progress(f"egress-flows: round {number + 1} of {ROUNDS}")
    write(
        [
            Comparison(
                "egress",
                "60-byte frames of one flow through the reference EgressNat of lab 10, attached live",
                "a bare loop: epoll, recv, send",
                "frames/s",
                rates["reference"],
                rates["bare"],
                Target(0.5, "at least"),
                f"{lost} frames were lost on the way" if lost else "",
            ),
            Comparison(
                "egress-flows",
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

"""How many frames per second the live bridge and router forward, beside bare loops and scapy. Runs in a sandbox.

One cluster of two pods that nobody connects, and one load between them for all forwarders. Forwarder and load have a
core each where there are two, so that neither starves the other. Rounds alternate.
"""

import importlib.util
import os
import sys

from comparison import Comparison, Target
from forwarders import Forwarder, bare_loop, bridge_in_loop, draining_loop, live, routing, running, scapy_bridge
from load import Load
from reference import reference
from report import progress, write

from podpath import Cluster

WHAT = "60-byte frames from pod to pod through the reference bridge of lab 02, attached live"
ROUTED = "the same through the reference router of lab 03, attached live"
ROUNDS = 11
SECONDS = 0.3
DEADLINE = 20.0  # until the first frame has passed a forwarder


def measure(forwarders: dict[str, Forwarder]) -> tuple[dict[str, list[float]], int]:
    """Frames per second by forwarder, round by round, and how many frames were lost in all."""
    cores = sorted(os.sched_getaffinity(0))
    rates: dict[str, list[float]] = {name: [] for name in forwarders}
    with Cluster(1, 2, "learner") as cluster, Load(*cluster.pods) as load:
        node = cluster.nodes[0]
        ports = cluster.ports(node)[:2]
        os.sched_setaffinity(0, {cores[0]})
        if load.passes(0.3):
            raise RuntimeError("frames pass between the pods while nobody forwards them: this measures nothing")
        order = list(forwarders)
        for number in range(ROUNDS):
            for name in order:
                with running(forwarders[name], node, ports, cores[-1]):
                    if not load.passes(DEADLINE):
                        raise RuntimeError(f"not one frame has passed {name} in {DEADLINE:g} s")
                    rates[name].append(load.rate(SECONDS))
            order.append(order.pop(0))
            progress(f"live: round {number + 1} of {ROUNDS}")
        return rates, load.lost


def main() -> None:
    has_scapy = importlib.util.find_spec("scapy") is not None
    bridge, router = reference("02"), reference("03")
    against: list[tuple[str, str, Forwarder, Target | None]] = [
        ("live-bare", "a bare loop: epoll, recv, send", bare_loop, Target(0.9, "at least")),
        ("live-draining", "a bare loop that recvs and sends until nothing is left", draining_loop, None),
        ("live-bridge", "that loop with the same bridge in it", bridge_in_loop(bridge), None),
    ]
    if has_scapy:
        against.append(("live-scapy", "scapy's bridge_and_sniff", scapy_bridge, Target(50, "at least")))
    ours = {"podpath": live(bridge), "router": live(routing(router))}
    rates, lost = measure(ours | {name: forwarder for name, _, forwarder, _ in against})
    note = f"{lost} frames were lost on the way" if lost else ""
    found = [
        Comparison(name, WHAT, other, "frames/s", rates["podpath"], rates[name], target, note)
        for name, other, _, target in against
    ]
    bare = against[0][1]
    least = Target(0.5, "at least")
    found.append(
        Comparison("live-router", ROUTED, bare, "packets/s", rates["router"], rates["live-bare"], least, note)
    )
    write(found, [] if has_scapy else ["live-scapy: there is no scapy (.venv/bin/pip install scapy)"])


if __name__ == "__main__":
    sys.exit(main())

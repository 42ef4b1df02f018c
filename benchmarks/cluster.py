"""How fast a cluster comes up, beside stock Mininet and beside `ip`. Runs in a sandbox; `run.py` starts it.

The clock runs from the call that makes the network until echo requests were answered. The same probe asks for all,
so only the making differs. Rounds alternate, each begins with another of the makers, and none begins before the
kernel has taken the network before down. One round, uncounted, goes first: imports and Mininet's own checks are over
then.
"""

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from comparison import Comparison, Target
from networks import Made, Maker, by_ip, by_mininet, by_podpath, planned, reach, reach_next, wait_for_cleanup
from report import progress, write

SMALL, LARGE = (2, 4), (4, 25)  # nodes, and pods on each
SMALL_ROUNDS, LARGE_ROUNDS, GROWTH_ROUNDS = 9, 3, 9
DEADLINE = 60.0
STOCK_NEEDS = {"brctl": "bridge-utils", "ifconfig": "net-tools", "mnexec": "mininet"}  # program: Debian package


@dataclass(frozen=True)
class Came:
    """Seconds since the call: when each pod had reached the next, and when each had reached every other."""

    next: float
    all: float


def once(maker: Maker, size: tuple[int, int], everyone: bool = True) -> Came:
    """Make one network, reach its pods, take it down."""
    planned(*size)
    wait_for_cleanup()
    began = time.monotonic()
    made: Made = maker(*size)
    try:
        reach_next(made.pods, DEADLINE)
        next_reached = time.monotonic() - began
        if everyone:
            reach(made.pods, DEADLINE)
        return Came(next_reached, time.monotonic() - began)
    finally:
        made.close()


def alternate(runs: dict[str, Callable[[], Came]], rounds: int, name: str) -> dict[str, list[Came]]:
    """A B C, B C A, C A B ..., so that each follows each of the others equally often."""
    came: dict[str, list[Came]] = {who: [] for who in runs}
    order = list(runs)
    for number in range(rounds):
        for who in order:
            came[who].append(runs[who]())
        order.append(order.pop(0))
        progress(f"{name}: round {number + 1} of {rounds}")
    return came


def small(stock: bool) -> list[Comparison]:
    makers: dict[str, Maker] = {"podpath": by_podpath, "ip": by_ip} | ({"stock": by_mininet} if stock else {})
    runs = {who: lambda maker=maker: once(maker, SMALL) for who, maker in makers.items()}
    alternate(runs, 1, "cluster-small, warming up")
    came = {who: [c.all for c in found] for who, found in alternate(runs, SMALL_ROUNDS, "cluster-small").items()}
    what = "2 nodes x 4 pods, from the call until every pair of pods is reached"
    against = {
        "stock": ("cluster-small-stock", "stock Mininet: Host, LinuxBridge, Link", Target(0.5)),
        "ip": ("cluster-small-ip", "`ip -batch` alone", Target(2.0)),
    }
    return [
        Comparison(name, what, other, "s", came["podpath"], came[who], target)
        for who, (name, other, target) in against.items()
        if who in came
    ]


def large() -> list[Comparison]:
    runs = {"podpath": lambda: once(by_podpath, LARGE), "stock": lambda: once(by_mininet, LARGE)}
    came = alternate(runs, LARGE_ROUNDS, "cluster-large")
    next_, all_ = (
        {who: [getattr(c, goal) for c in found] for who, found in came.items()} for goal in ("next", "all")
    )
    what = "4 nodes x 25 pods, from the call until each pod has reached the next"
    probing = [c.all - c.next for found in came.values() for c in found]
    note = (
        f"of this, the probe takes {min(probing):.1f} to {max(probing):.1f} s, the same for both, to ask 9,900 pairs"
    )
    return [
        Comparison("cluster-large", what, "stock Mininet", "s", next_["podpath"], next_["stock"], Target(0.5)),
        Comparison(
            "cluster-large-all",
            "the same network, until every pair of pods is reached",
            "stock Mininet",
            "s",
            all_["podpath"],
            all_["stock"],
            Target(0.5),
            note,
        ),
    ]


def growth() -> Comparison:
    """Time per pod. Nodes have 25 pods at either size, so that each pod has the same share of a node."""
    runs = {
        "many": lambda: once(by_podpath, LARGE, everyone=False),
        "few": lambda: once(by_podpath, (1, LARGE[1]), everyone=False),
    }
    came = alternate(runs, GROWTH_ROUNDS, "cluster-growth")
    many = [c.next / (LARGE[0] * LARGE[1]) for c in came["many"]]
    few = [c.next / LARGE[1] for c in came["few"]]
    what = "time per pod, 100 pods on 4 nodes, until each has reached the next"
    return Comparison("cluster-growth", what, "25 pods on 1 node", "s", many, few, Target(1.0))


def main() -> None:
    lacking = [
        f"{program} (Debian package {package})" for program, package in STOCK_NEEDS.items() if not _has(program)
    ]
    found = small(stock=not lacking)
    missing = [f"nothing was compared with stock Mininet: there is no {' and no '.join(lacking)}"] if lacking else []
    if not lacking:
        found += large()
    write([*found, growth()], missing)


def _has(program: str) -> bool:
    return shutil.which(program) is not None


if __name__ == "__main__":
    sys.exit(main())

"""Draws docs/bridge.png, the picture in README.md: `./lab python docs/picture.py`.

What it shows is measured: three pods on one node, without a bridge, and with the reference solution of lab 02 live.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from grader import checks, solution
from podpath import Cluster, attach, draw

LAB = checks.find("02-bridge")


def main() -> None:
    names: dict[str, object] = {}
    for cell in solution.read(solution.exercise(LAB), LAB):
        exec(compile(cell.source, cell.label, "exec"), names)
    with Cluster(nodes=1, pods=3, network="learner") as cluster:
        before = cluster.reachability(deadline=0.3)
        with attach(names[LAB.class_name], cluster.nodes[0]):
            after = cluster.reachability()
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(11, 3.9), width_ratios=[2, 1, 1], layout="constrained"
        )
        cluster.plot(left)
    for axes, matrix, title in ((middle, before, "before you write it"), (right, after, "after")):
        draw.reachability(matrix, axes)
        axes.set_title(title, fontsize=12, weight="bold", pad=14)
    figure.savefig(Path(__file__).with_name("bridge.png"), dpi=110)


main()

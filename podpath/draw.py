"""Pictures of a cluster, with matplotlib: one call each, all of one family.

The colours are Okabe and Ito's, which people who see colours differently can tell apart; who plays a layer is also
written, and what is missing is also dashed, so that nothing rests on colour alone.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from podpath.probe import Reachability
from podpath.topology import BRIDGE, UPLINK, HostPlan, Plan

COLOURS = {"kernel": "#0072B2", "learner": "#E69F00", "nobody": "#999999", "yes": "#009E73", "no": "#D55E00"}
_PLAYERS = {"kernel": "the kernel's bridge", "learner": "your bridge", "nobody": "no bridge"}
_INK, _PAPER, _FRAME = "#222222", "white", "#BBBBBB"


def topology(plan: Plan, ax: Axes | None = None) -> Axes:
    """The hosts of a cluster, their addresses and cables, and who plays the bridge."""
    nodes = [host for host in plan.hosts.values() if host.role == "node"]
    pods = {node.name: [h for h in plan.hosts.values() if h.node == node.name] for node in nodes}
    columns = max([2, *map(len, pods.values())])
    if ax is None:
        _, ax = plt.subplots(figsize=(min(16, 1.7 * columns * len(nodes) + 1), 4.4), layout="constrained")
    width = columns * 1.0
    for index, node in enumerate(nodes):
        _node(ax, plan, node, pods[node.name], left=index * (width + 0.35), width=width)
    _fabric(ax, plan, len(nodes) * (width + 0.35) - 0.35, [i * (width + 0.35) + width / 2 for i in range(len(nodes))])
    ax.set_xlim(-0.15, len(nodes) * (width + 0.35) - 0.2)
    ax.set_ylim(-1.35, 3.2)
    ax.axis("off")
    return ax


def _box(
    ax: Axes, x: float, y: float, w: float, h: float, colour: str, fill: str = _PAPER, dashed: bool = False
) -> None:
    style = "round,pad=0,rounding_size=0.06"
    line = (0, (4, 3)) if dashed else "-"
    ax.add_patch(
        FancyBboxPatch(
            (x, y), w, h, boxstyle=style, ec=colour, fc=fill, lw=1.6, ls=line, zorder=0 if colour == _FRAME else 2
        )
    )


def _cable(ax: Axes, x: float, low: float, high: float) -> None:
    ax.plot([x, x], [low, high], color=_INK, lw=1.4, zorder=1)


def _node(ax: Axes, plan: Plan, node: HostPlan, pods: list[HostPlan], left: float, width: float) -> None:
    player = plan.players["bridge"]
    colour = COLOURS[player]
    _box(ax, left, 0.0, width, 3.1, _FRAME, "#F7F7F7")
    ax.text(left + 0.08, 0.1, f"{node.name}  {node.address.ip}", fontsize=9, color=_INK, va="bottom")
    _box(ax, left + 0.1, 0.85, width - 0.2, 0.5, colour, f"{colour}22", dashed=player == "nobody")
    ax.text(left + width / 2, 1.1, _PLAYERS[player], fontsize=10, ha="center", va="center", color=_INK)
    for index, pod in enumerate(pods):
        centre = left + (index + 0.5) * width / len(pods)
        _box(ax, centre - 0.42, 2.1, 0.84, 0.75, _INK)
        ax.text(centre, 2.6, pod.name, fontsize=9, ha="center", va="center", weight="bold", color=_INK)
        ax.text(centre, 2.32, str(pod.address.ip), fontsize=7.5, ha="center", va="center", color=_INK)
        ax.text(centre + 0.05, 1.72, node.ports[index], fontsize=7.5, va="center", color="#555555")
        _cable(ax, centre, 1.35, 2.1)
    middle = left + width / 2
    _cable(ax, middle, -0.45, 0.85)
    if UPLINK in node.ports:  # the kernel's bridge is cbr0 itself
        ax.text(middle + 0.05, 0.68, UPLINK, fontsize=7.5, va="center", color="#555555")
    if node.gateway is not None:
        ax.text(middle + 0.08, 0.42, f"{BRIDGE} {node.gateway.ip}", fontsize=7.5, va="center", color=_INK)
        ax.plot([middle], [0.42], "s", color=_INK, ms=5, zorder=3)


def _fabric(ax: Axes, plan: Plan, width: float, cables: list[float]) -> None:
    internet = next(host for host in plan.hosts.values() if host.role == "internet")
    _box(ax, 0, -0.8, width, 0.35, _FRAME, "#F7F7F7")
    ax.text(width / 2, -0.63, "fabric 172.16.0.0/24", fontsize=8.5, ha="center", va="center", color=_INK)
    for x in cables:
        ax.text(x + 0.05, -0.25, "eth0", fontsize=7.5, va="center", color="#555555")
    _cable(ax, width / 2, -1.05, -0.8)
    ax.text(width / 2, -1.18, f"internet  {internet.address.ip}", fontsize=8.5, ha="center", va="center", color=_INK)


def reachability(matrix: Reachability, ax: Axes | None = None) -> Axes:
    """Who reaches whom: a row for each that asks, a column for each that is asked."""
    count = len(matrix.names)
    if ax is None:
        side = 0.55 * count + 1.4
        _, ax = plt.subplots(figsize=(side, side * 0.85), layout="constrained")
    for row, source in enumerate(matrix.names):
        for column, destination in enumerate(matrix.names):
            mark = matrix.mark(source, destination)
            colour = COLOURS.get(mark, "#EEEEEE")
            ax.add_patch(Rectangle((column, row), 0.94, 0.94, fc=colour if mark != "no" else _PAPER, ec=colour, lw=2))
            if mark and count <= 30:
                ink = _PAPER if mark == "yes" else colour
                ax.text(column + 0.47, row + 0.47, mark, ha="center", va="center", fontsize=9, color=ink)
    ticks = [position + 0.47 for position in range(count)]
    ax.set_xticks(ticks, matrix.names, rotation=90 if count > 6 else 0)
    ax.set_yticks(ticks, matrix.names)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set(xlim=(-0.1, count + 0.05), ylim=(count + 0.05, -0.1), xlabel="is asked", ylabel="asks", aspect="equal")
    ax.tick_params(length=0)
    for side_line in ax.spines.values():
        side_line.set_visible(False)
    return ax

"""The picture of a cluster: hosts, interfaces, addresses, cables, and who plays which layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from podpath import interfaces
from podpath.draw.style import ROLES, WIDTH, box, canvas, line, widest, width, write
from podpath.interfaces import InterfaceState
from podpath.topology import BRIDGE, INSIDE, NODE_NETWORK, OUTSIDE, UPLINK, HostPlan, Plan

_TUNNEL = "flannel.1"
_WORDS = {  # who plays a layer, in the order in which a packet leaves a node
    "bridge": {"kernel": "the kernel's bridge", "learner": "your bridge", "nobody": "no bridge"},
    "routes": {"kernel": "the kernel's routes", "learner": "your router", "nobody": "no routes"},
    "overlay": {"kernel": f"the kernel's {_TUNNEL}", "learner": "your overlay", "nobody": "no overlay"},
    "egress": {"kernel": "the kernel's NAT", "learner": "your NAT", "nobody": "no NAT"},
}
_POD, _CABLE, _BAR, _LAYER, _STEM, _PAD, _GAP = 0.72, 0.5, 0.3, 0.25, 0.34, 0.08, 0.1  # inches
_TITLE, _SPINE, _CHIP = 0.28, 0.12, 0.22
_PROXY = 0.36  # where the cables of pods are cut


@dataclass
class _Scene:
    """What there is to draw, and the sizes that follow from it."""

    plan: Plan
    states: Mapping[str, Mapping[str, InterfaceState]]
    attached: Mapping[str, Mapping[str, str]]  # by node: what class plays a layer
    live: bool
    slot: float = 0.0
    columns: int = 0
    node_width: float = 0.0
    per_row: int = 1

    @property
    def nodes(self) -> list[HostPlan]:
        return [host for host in self.plan.hosts.values() if host.role == "node"]

    def pods(self, node: HostPlan) -> list[HostPlan]:
        return [host for host in self.plan.hosts.values() if host.node == node.name]

    def find(self, host: str, interface: str) -> InterfaceState | None:
        return self.states[host].get(interface)


def topology(of: Any, ax: Axes | None = None) -> Axes:
    """The hosts of a cluster, their interfaces, addresses and cables, and who plays which layer.

    `of` is a Cluster, which is drawn as it is now, or a Plan, which is drawn as it was meant. What is down, missing or
    without its address is dashed and says so. What `podpath.attach` runs is named by its class.
    """
    if isinstance(of, Plan):
        scene = _Scene(of, interfaces.planned(of), {}, live=False)
    else:
        scene = _Scene(of.plan, interfaces.read(of.hosts), _attached(of), live=True)
    _measure(scene)
    rows = [scene.nodes[at : at + scene.per_row] for at in range(0, len(scene.nodes), scene.per_row)]
    left = 0.05 + (_SPINE + 0.08 if len(rows) > 1 else 0.0)
    across = scene.per_row * (scene.node_width + _GAP) - _GAP
    heights = [max(_height(scene, node) for node in row) for row in rows]
    ax = canvas(ax, left + across + 0.05, sum(heights) + len(rows) * (_CABLE + _BAR + 0.12) + 1.0)
    y, bars = 0.05, []
    for row, height in zip(rows, heights, strict=True):
        for index, node in enumerate(row):
            _node(ax, scene, node, left + index * (scene.node_width + _GAP), y, height)
        bars.append(y + height + _CABLE)
        y = bars[-1] + _BAR + 0.12
    _fabric(ax, scene, bars, left, across)
    return ax


def _attached(cluster: Any) -> dict[str, dict[str, str]]:
    """By node, the classes of what is attached there; each under the layer that it plays, or else under its ports."""
    plan: Plan = cluster.plan
    found: dict[str, dict[str, str]] = {}
    for one in cluster.attached:
        if not hasattr(one, "datapath"):
            continue  # it only listens
        node, name = one.node.name, type(one.datapath).__name__
        here = found.setdefault(node, {})
        others = [
            layer for layer, player in plan.players.items() if player == "learner" and layer in list(_WORDS)[1:]
        ]
        if plan.players["bridge"] != "kernel" and set(one.ports) & set(plan.hosts[node].ports):
            layer = "bridge"
        elif set(one.ports) == {INSIDE, OUTSIDE}:
            layer = "egress"
        else:
            layer = next((layer for layer in others if layer not in here), f"on {', '.join(one.ports)}")
        here[layer] = name
    return found


def _measure(scene: _Scene) -> None:
    """Choose how many nodes stand side by side, and how many pods in each of them."""
    pods = [pod for node in scene.nodes for pod in scene.pods(node)]
    needed = max(
        widest((pod.name for pod in pods), bold=True) + 0.06,
        widest((_address(scene, pod.name, "eth0", "") for pod in pods), "tiny"),
        widest((port for node in scene.nodes for port in node.ports), "tiny"),
    )
    scene.slot = max(0.72, needed + 0.12)
    words = [text for node in scene.nodes for text, _ in _players(scene, node)]
    least = max(1.55, widest(words, "small", bold=True) + 0.3)
    most = max([1, *(len(scene.pods(node)) for node in scene.nodes)])
    for per_row in range(len(scene.nodes), 0, -1):
        room = (WIDTH - 0.1 + _GAP) / per_row - _GAP
        columns = min(most, int((room - 2 * _PAD + 1e-6) / scene.slot))
        if most > columns:
            columns = min(most, int((room - 2 * _PAD - _SPINE) / scene.slot))
        if per_row == 1 or (room >= least and columns >= min(most, 2)):
            break
    scene.per_row, scene.columns = per_row, max(1, columns)
    spine = _SPINE if most > scene.columns else 0.0
    scene.node_width = max(least, scene.columns * scene.slot + 2 * _PAD + spine)


def _pod_rows(scene: _Scene, node: HostPlan) -> int:
    return -(-len(scene.pods(node)) // scene.columns)


def _height(scene: _Scene, node: HostPlan) -> float:
    uplink = _STEM if UPLINK in node.ports else 0.0
    layers = (len(_players(scene, node)) - 1) * (_LAYER + 0.05)
    extras = 0.2 * len(_extras(scene, node)) + (2 * _CHIP if node.egress == "learner" else 0.0)
    rows = max(1, _pod_rows(scene, node))
    return _TITLE + rows * (_POD + _cut(node) + _CABLE + _BAR + 0.08) + uplink + _STEM + 0.12 + layers + extras + 0.3


def _players(scene: _Scene, node: HostPlan) -> list[tuple[str, str]]:
    """For each layer what to write, and the role of who plays it. The bridge comes first."""
    here = scene.attached.get(node.name, {})
    told = []
    for layer in sorted(scene.plan.players, key=[*_WORDS, "services"].index):
        if layer == "services":
            continue  # it is played at the pods, or by rules that most clusters are without
        own = {"routes": node.routes, "overlay": node.overlay, "egress": node.egress}
        player = own.get(layer, scene.plan.players[layer])
        if layer == "overlay" and player == "nobody":
            continue  # most clusters have none
        if layer in here:
            told.append((f"your {here[layer]}", "learner"))
        elif scene.live and player == "learner":
            told.append((f"{_WORDS[layer][player]}: not attached", "nobody"))
        else:
            told.append((_WORDS[layer][player], player))
    return told + [(f"your {name} {layer}", "learner") for layer, name in here.items() if layer not in _WORDS]


def _extras(scene: _Scene, node: HostPlan) -> list[str]:
    """The interfaces of a node that no cable leads to: tunnels, and what learners have made."""
    known = {*node.ports, BRIDGE, "eth0", INSIDE, OUTSIDE}
    found = [name for name, one in scene.states[node.name].items() if name not in known and one.up]
    wanted = [_TUNNEL] if scene.live and node.overlay == "kernel" else []
    return list(dict.fromkeys([*wanted, *found]))


def _address(scene: _Scene, host: str, interface: str, missing: str = "no address") -> str:
    """The first address that an interface has, and how many more there are."""
    state, plan = scene.find(host, interface), scene.plan.hosts[host]
    if plan.routes == "learner":  # the kernel has no addresses there: they are the router's
        return str((plan.gateway or plan.address).ip if interface == BRIDGE else plan.address.ip)
    if state is None or not state.addresses:
        return missing
    first, *more = state.addresses
    return str(first.ip) + (f" +{len(more)}" if more else "")


def _chip(ax: Axes, scene: _Scene, host: str, interface: str, x: float, y: float, addressed: bool = False) -> bool:
    """An interface on its cable; whether frames can pass."""
    state = scene.find(host, interface)
    trouble = "missing" if state is None else state.trouble
    address = _address(scene, host, interface) if addressed and state is not None else ""
    bad = bool(trouble) or address == "no address"
    text = " ".join(filter(None, (interface, address, trouble)))
    size = width(text, "tiny") + 0.1
    if size > scene.slot and trouble:  # a pod's neighbours are near
        _plate(ax, x, y, max(width(interface, "tiny"), width(trouble, "tiny")) + 0.1, 0.3, bad)
        write(ax, x, y - 0.065, interface, "tiny", ha="center")
        write(ax, x, y + 0.065, trouble, "tiny", "red", "center", bold=True)
    else:
        _plate(ax, x, y, size, 0.17, bad)
        write(ax, x, y, text, "tiny", "red" if bad else "ink", "center")
    return not trouble


def _plate(ax: Axes, x: float, y: float, across: float, high: float, bad: bool) -> None:
    box(ax, x - across / 2, y - high / 2, across, high, "red" if bad else "grey", "paper", bad, thick=0.9)


def _node(ax: Axes, scene: _Scene, node: HostPlan, left: float, top: float, height: float) -> None:
    box(ax, left, top, scene.node_width, height, "line", "shade", behind=True)
    write(ax, left + _PAD, top + 0.15, node.name, "title", bold=True)
    (word, role), *others = _players(scene, node)
    y, inner, start = top + _TITLE, scene.node_width - 2 * _PAD, left + _PAD
    pods, bars = scene.pods(node), []
    for row in range(max(1, _pod_rows(scene, node))):
        few = pods[row * scene.columns : (row + 1) * scene.columns]
        _pods(ax, scene, node, few, start, y)
        bars.append(y + _POD + _cut(node) + _CABLE)
        y = bars[-1] + _BAR + 0.08
    dashed = role == "nobody"
    for at in bars:
        box(ax, start, at, inner, _BAR, ROLES[role], _fill(role), dashed)
        size = "text" if at == bars[-1] else "tiny"
        write(ax, start + inner / 2, at + _BAR / 2, word, size, ha="center", bold=role == "learner")
    if len(bars) > 1:
        box(ax, start, bars[0], _SPINE, bars[-1] - bars[0] + _BAR, ROLES[role], _fill(role), dashed)
    _below(ax, scene, node, (start, start + inner), bars[-1] + _BAR, others, top + height)


def _cut(node: HostPlan) -> float:
    return _PROXY if node.services == "learner" else 0.0


def _proxy(ax: Axes, scene: _Scene, pod: HostPlan, x: float, y: float, wide: float) -> None:
    """What stands in the cable of a pod."""
    (name,) = scene.attached.get(pod.name, {"": ""}).values()
    role = "nobody" if scene.live and not name else "learner"
    word = "no proxy" if role == "nobody" else "your proxy"
    line(ax, [x, x], [y, y + _PROXY], dashed=role == "nobody")
    box(ax, x - wide / 2, y + 0.09, wide, _LAYER - 0.03, ROLES[role], _fill(role), role == "nobody")
    write(ax, x, y + 0.2, word, "tiny", ha="center", bold=role == "learner")


def _fill(role: str) -> str:
    return "paper" if role == "nobody" else f"{ROLES[role]} tint"


def _pods(ax: Axes, scene: _Scene, node: HostPlan, few: Sequence[HostPlan], start: float, y: float) -> None:
    spine = _SPINE if _pod_rows(scene, node) > 1 else 0.0
    room = (scene.node_width - 2 * _PAD - spine) / max(1, scene.columns if spine else len(few))
    for index, pod in enumerate(few):
        x, port = start + spine + (index + 0.5) * room, f"to{pod.name}"
        wide = min(room, max(scene.slot, 1.0)) - 0.06
        address = _address(scene, pod.name, "eth0")
        lost = address == "no address" and scene.find(pod.name, "eth0") is not None
        box(ax, x - wide / 2, y, wide, _POD, "red" if lost else "ink", "paper", lost)
        write(ax, x, y + 0.17, pod.name, ha="center", bold=True)
        if lost or address != "no address":
            write(ax, x, y + 0.36, address, "tiny", "red" if lost else "ink", "center", bold=lost)
        near = _chip(ax, scene, pod.name, "eth0", x, y + 0.57)
        low = y + _POD + _cut(node)
        if low > y + _POD:
            _proxy(ax, scene, pod, x, y + _POD, wide)
        middle = low + 0.24
        far = _chip(ax, scene, node.name, port, x, middle)
        line(ax, [x, x], [low, middle], dashed=not near)
        state = scene.find(node.name, port)
        loose = scene.plan.players["bridge"] == "kernel" and state is not None and state.master != BRIDGE
        line(ax, [x, x], [middle, low + _CABLE], dashed=not far or loose)
        if loose:
            write(ax, x, low + _CABLE - 0.07, f"not in {BRIDGE}", "tiny", "red", "center", True, over="shade")


def _below(
    ax: Axes,
    scene: _Scene,
    node: HostPlan,
    sides: tuple[float, float],
    y: float,
    others: Sequence[tuple[str, str]],
    bottom: float,
) -> None:
    """What is under the bridge: the node's own interfaces, and the layers that are played between them."""
    (left, right), middle, first = sides, sum(sides) / 2, y
    if UPLINK in node.ports:
        y += _STEM - 0.1
        _chip(ax, scene, node.name, UPLINK, middle, y)
    y += _STEM - 0.1
    joined = _chip(ax, scene, node.name, BRIDGE, middle, y, addressed=True)
    y += 0.2
    line(ax, [middle, middle], [first, y], dashed=not joined)
    nat = 1 + (node.overlay != "nobody") if node.egress == "learner" else None  # which of them is it?
    for number, (word, role) in enumerate(others):
        if number == nat:
            for interface in ("eth0", INSIDE):
                _chip(ax, scene, node.name, interface, middle, y + 0.07, addressed=interface == "eth0")
                y += _CHIP
        box(ax, left, y, right - left, _LAYER, ROLES[role], _fill(role), role == "nobody")
        write(ax, middle, y + _LAYER / 2, word, "small", ha="center", bold=role == "learner")
        y += _LAYER + 0.05
    line(ax, [middle, middle], [y - 0.05, bottom])
    for extra in _extras(scene, node):
        state = scene.find(node.name, extra)
        _chip(ax, scene, node.name, extra, middle, y + 0.07, addressed=state is not None and bool(state.addresses))
        y += 0.2
    last = "eth0" if nat is None else OUTSIDE
    _chip(ax, scene, node.name, last, middle, bottom - 0.16, addressed=last == "eth0")


def _fabric(ax: Axes, scene: _Scene, bars: Sequence[float], left: float, across: float) -> None:
    """What joins the nodes, below each row of them, and the way to the internet."""
    fabric = next(host for host in scene.plan.hosts.values() if host.role == "fabric")
    internet = next(host for host in scene.plan.hosts.values() if host.role == "internet")
    start = 0.05
    across += left - start
    for number, node in enumerate(scene.nodes):
        row, column = divmod(number, scene.per_row)
        x = left + column * (scene.node_width + _GAP) + scene.node_width / 2
        near = scene.find(node.name, OUTSIDE if node.egress == "learner" else "eth0")
        far = _chip(ax, scene, fabric.name, f"to{node.name}", x, bars[row] - 0.2)
        line(ax, [x, x], [bars[row] - _CABLE, bars[row]], dashed=not far or near is None or bool(near.trouble))
    for y in bars:
        box(ax, start, y, across, _BAR, "grey", "shade")
    write(ax, start + across / 2, bars[-1] + _BAR / 2, f"{fabric.name}  {NODE_NETWORK}", "small", ha="center")
    if len(bars) > 1:
        box(ax, start, bars[0], _SPINE, bars[-1] - bars[0] + _BAR, "grey", "shade")
    x, y = start + across / 2, bars[-1] + _BAR
    way = _chip(ax, scene, fabric.name, "eth0", x, y + 0.2, addressed=True)
    near_end = scene.find(internet.name, "eth0")
    line(ax, [x, x], [y, y + 0.42], dashed=not way or near_end is None or bool(near_end.trouble))
    wide = max(1.5, width(internet.name, bold=True) + 0.2)
    box(ax, x - wide / 2, y + 0.42, wide, 0.5)
    write(ax, x, y + 0.55, internet.name, bold=True, ha="center")
    _chip(ax, scene, internet.name, "eth0", x, y + 0.77, addressed=True)

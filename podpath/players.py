"""Who plays which layer of a cluster: its learner, the kernel, or nobody. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

Player = Literal["nobody", "kernel", "learner"]
Layer = Literal["bridge", "routes", "overlay", "egress", "services"]
Network = Player | Mapping[Layer, Player | Sequence[Player]]

LAYERS: tuple[Layer, ...] = get_args(Layer)
_BY_NODE: tuple[Layer, ...] = ("routes", "overlay", "egress", "services")
_KERNEL: dict[Layer, Player] = {
    "bridge": "kernel",
    "routes": "kernel",
    "overlay": "nobody",
    "egress": "kernel",
    "services": "kernel",
}


def players(network: Network) -> dict[Layer, Player]:
    """Who plays each layer.

    One word for all: "kernel", or "nobody" (cables and addresses only). "learner" means the layer of the lab, the
    bridge; the kernel plays the others. A mapping says it layer by layer; what it leaves out is the kernel's, but for
    the overlay, which is there only where it is asked for: `{"overlay": "kernel"}`.

    Routes, overlay, egress and services may be played node by node: `{"routes": ["learner", "kernel", "learner"]}`; they are then
    called the learner's as a whole. Where a learner has the routes, the addresses of the node are the learner's, too: its kernel has
    none, and translates none (egress is nobody's). Where a learner has the services, the cable of every pod of the node is
    cut: see `topology.POD`.
    """
    if not isinstance(network, str):
        network = _of_all_nodes(network)
    if isinstance(network, str):
        wanted: dict[Layer, Player] = dict.fromkeys(LAYERS, network) if network == "nobody" else dict(_KERNEL)
        if network == "learner":
            wanted["bridge"] = "learner"
        elif network not in get_args(Player):
            wanted["bridge"] = network
    else:
        wanted = _KERNEL | dict(network)
    for layer, player in wanted.items():
        if layer not in LAYERS:
            raise ValueError(f"there is no layer {layer!r}; there are {', '.join(LAYERS)}")
        if player not in get_args(Player):
            raise ValueError(f"nobody called {player!r} can play {layer}; there are {', '.join(get_args(Player))}")
    if wanted["routes"] == "learner" and (wanted["overlay"], wanted["egress"]) != ("nobody", "nobody"):
        raise ValueError("a learner's router leaves nothing to the kernel: overlay and egress must be nobody's")
    return wanted


def _of_all_nodes(network: Mapping[Layer, Player | Sequence[Player]]) -> dict[Layer, Player]:
    """What a mapping says of a layer as a whole, where it says it node by node."""
    found: dict[Layer, Player] = {}
    for layer, who in network.items():
        if isinstance(who, str):
            found[layer] = who
        elif layer not in _BY_NODE:
            raise ValueError(
                f"only {', '.join(_BY_NODE[:-1])} and {_BY_NODE[-1]} can be played node by node, not {layer}"
            )
        elif layer == "overlay" and "nobody" in who:
            raise ValueError("an overlay joins all nodes: on none of them can it be nobody's")
        else:
            found[layer] = next((one for one in who if one != "kernel"), "kernel")
    if found.get("routes") == "learner":
        found.setdefault("egress", "nobody")
    return found


def by_node(layer: Layer, network: Network, nodes: int) -> list[Player]:
    """Who plays a layer on each node. ValueError if that is not said for every node."""
    who = None if isinstance(network, str) else network.get(layer)
    if who is None or isinstance(who, str):
        return [players(network)[layer]] * nodes
    if len(who) != nodes:
        verb = "are" if layer.endswith("s") else "is"
        raise ValueError(f"the {layer} {verb} given to {len(who)} nodes, but there are {nodes}")
    for player in who:
        if player not in get_args(Player):
            raise ValueError(f"nobody called {player!r} can play {layer}; there are {', '.join(get_args(Player))}")
    return list(who)

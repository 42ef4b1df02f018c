"""The lab runtime: what notebooks and learners import.

The names below are loaded when they are first used, so that the pure parts (`packets`, `datapath`, `bench`) can be
had where Mininet and matplotlib cannot: in the jail in which submitted code runs, for one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podpath.bench import Bench as Bench
    from podpath.cluster import Cluster as Cluster
    from podpath.live import attach as attach
    from podpath.tap import Tap as Tap
    from podpath.xrays import xray as xray

_HOME = {
    "Bench": "podpath.bench",
    "Cluster": "podpath.cluster",
    "Tap": "podpath.tap",
    "attach": "podpath.live",
    "draw": "podpath.draw",
    "packets": "podpath.packets",
    "xray": "podpath.xrays",
}
__all__ = ["Bench", "Cluster", "Tap", "attach", "draw", "packets", "xray"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"podpath has no {name!r}; it has {', '.join(__all__)}")
    module = import_module(_HOME[name])
    return getattr(module, name, module)

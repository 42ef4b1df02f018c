"""The picture of a journey, with matplotlib: a packet's headers at every place where it was seen.

Time runs downwards. Each row is a place; rows of one host share a band. The headers stand side by side, the outermost
on the left, and what is not as in the row above is bold and marked, so that nothing rests on colour alone.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from podpath.draw import COLOURS
from podpath.layers import Layer, layers
from podpath.trace import Change, Died, Journey

_INK, _FAINT, _BAND = "#222222", "#666666", ("#F3F3F3", "#FFFFFF")
_SHOWN = {  # of these headers, these fields
    "Ethernet": ("source", "destination"),
    "IPv4": ("source", "destination", "ttl"),
    "TCP": ("source port", "destination port", "flags"),
    "ARP": ("operation", "sender", "target"),
}
_SHORT = {"source": "from", "destination": "to", "source port": "from", "destination port": "to"}
_ROW, _BOX, _LEFT = 0.62, 1.75, 2.05  # inches


def journeys(told: Sequence[Journey], died: Died | None, ax: Axes | None = None) -> Axes:
    """Packets, one below the other, each with its way."""
    rows = sum(len(one.way) + 1 for one in told) + (1 if died else 0)
    columns = max((len(_headers(seen.frame)) for one in told for seen in one.way), default=1)
    width, height = _LEFT + columns * _BOX + 0.8, max(1, rows) * _ROW
    if ax is None:
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    y = 0.0
    for one in told:
        y = _journey(ax, one, y, columns)
    if died:
        ax.text(0.1, y + 0.3, f"✗ {died.why}", fontsize=9, color=COLOURS["no"], weight="bold", va="center")
    ax.set(xlim=(0, width), ylim=(max(1, rows) * _ROW, 0))
    ax.axis("off")
    return ax


def _journey(ax: Axes, one: Journey, y: float, columns: int) -> float:
    first = one.way[0]
    what = " ".join(filter(None, (_title(layer) for layer in _headers(first.frame)[-1:])))
    ax.text(0.1, y + _ROW * 0.6, what, fontsize=10, weight="bold", va="center", color=_INK)
    y += _ROW
    band, host, before = 0, "", first.time
    for seen, changed in zip(one.way, one.changes, strict=True):
        if seen.place.host != host:
            host, band = seen.place.host, 1 - band
            ax.text(0.1, y + 0.17, host, fontsize=9, weight="bold", va="center", color=_INK)
        width = _LEFT + columns * _BOX + 0.8
        ax.add_patch(Rectangle((0, y), width, _ROW, fc=_BAND[band], ec="none", zorder=0))
        arrow = "leaves by" if seen.place.outgoing else "arrives at"
        ax.text(0.25, y + 0.42, f"{arrow} {seen.place.interface}", fontsize=8, va="center", color=_INK)
        _stack(ax, _headers(seen.frame), changed, y, columns)
        ax.text(
            width - 0.08, y + _ROW / 2, _gap(seen.time - before), fontsize=7.5, ha="right", va="center", color=_FAINT
        )
        before = seen.time
        y += _ROW
    return y


def _headers(frame: bytes) -> list[Layer]:
    return [layer for layer in layers(frame) if layer.name != "payload"]


def _title(layer: Layer) -> str:
    words = [layer.name, *(layer.fields[name] for name in ("operation", "type", "flags") if name in layer.fields)]
    return " ".join(words)


def _gap(seconds: float) -> str:
    return f"+{seconds * 1e6:.0f} µs" if seconds < 0.001 else f"+{seconds * 1e3:.1f} ms"


def _stack(ax: Axes, stack: Sequence[Layer], changed: Sequence[Change], y: float, columns: int) -> None:
    """The headers of one row; the innermost stand below each other."""
    new = {change.layer for change in changed if not change.before}
    for number, layer in enumerate(stack):
        x = _LEFT + (columns - len(stack) + number) * _BOX
        told = {change.field for change in changed if change.layer == layer.name}
        mark = layer.name in new or bool(told)
        edge = COLOURS["learner"] if mark else "#BBBBBB"
        box = FancyBboxPatch(
            (x + 0.03, y + 0.04), _BOX - 0.06, _ROW - 0.08, boxstyle="round,pad=0,rounding_size=0.04", fc="white"
        )
        box.set(edgecolor=edge, linewidth=1.6 if mark else 0.8, zorder=1)
        ax.add_patch(box)
        ax.text(x + 0.08, y + 0.12, layer.name, fontsize=6.5, va="center", color=_FAINT, zorder=2)
        for line, (name, value) in enumerate(_fields(layer)):
            ours = name in told
            text = f"{'◆ ' if ours else ''}{_SHORT.get(name, name)} {value}"
            written = ax.text(x + 0.08, y + 0.24 + line * 0.13, text, fontsize=6.5, va="center", color=_INK, zorder=2)
            if ours:
                written.set(color="#B45F00", weight="bold")


def _fields(layer: Layer) -> list[tuple[str, str]]:
    wanted = _SHOWN.get(layer.name, tuple(layer.fields)[:3])
    return [(name, layer.fields[name]) for name in wanted if name in layer.fields]

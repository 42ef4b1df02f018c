"""The picture of how a cost grows: every measurement a point, the medians joined by a line."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from podpath.draw.style import PALETTE, SERIES, SIZES, WIDTH, scales, si

Curves = Mapping[str, Mapping[float, Sequence[float]]]
_MARKS = {"o": "●", "s": "■", "D": "◆", "^": "▲", "v": "▼", "P": "✚"}  # on the curve, and before its name
_LEGIBLE = {"orange": "brown", "sky": "ink", "purple": "ink"}  # what is too light for letters
_DASHES: tuple[tuple[float, Sequence[float]] | Literal["-"], ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (5, 2, 1, 2)),
)
_WIDE = 30  # from the smallest to the largest: from here on a scale is logarithmic
_VERY_WIDE = 5000  # up to here there is room for 1, 2, 5, 10, ...; then for the powers of ten
_APART = 0.065  # of the height: how far two labels must stand from each other


def growth(curves: Curves, x: str = "", y: str = "", unit: str = "s", ax: Axes | None = None) -> Axes:
    """Curves by name; each maps a size to what was measured there, once or more often, in `unit`.

    Sizes and measurements that range over more than 30 times are drawn on logarithmic scales.
    """
    ax = scales(ax, WIDTH * 0.8, 3.6)
    sizes = [size for curve in curves.values() for size in curve]
    measured = [value for curve in curves.values() for found in curve.values() for value in found]
    ends: list[tuple[float, float, str, str]] = []
    for number, (name, curve) in enumerate(curves.items()):
        colour, mark = SERIES[number % len(SERIES)], list(_MARKS)[number % len(_MARKS)]
        points = [(size, value) for size in sorted(curve) for value in curve[size]]
        if not points:
            continue
        ax.plot(
            *zip(*points, strict=True), mark, color=PALETTE[colour], ms=5, alpha=0.6, mew=0, zorder=2, clip_on=False
        )
        middles = [(size, median(curve[size])) for size in sorted(curve) if curve[size]]
        (joined,) = ax.plot(*zip(*middles, strict=True), color=PALETTE[colour], lw=1.6, zorder=3)
        joined.set_linestyle(_DASHES[number % len(_DASHES)])
        ends.append((*middles[-1], f"{_MARKS[mark]} {name}", colour))
    _scale(ax, "x", sizes)
    _scale(ax, "y", measured)
    if not _logarithmic(measured):
        ax.set_ylim(bottom=0)
    if len(set(sizes)) == 1:
        ax.set_xticks(sizes[:1])
    ax.set(xlabel=x, ylabel=y)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: si(value, unit)))
    ax.grid(True, axis="y", color=PALETTE["shade"], zorder=0)
    _label(ax, ends)
    return ax


def _logarithmic(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > _WIDE


def _scale(ax: Axes, which: str, values: Sequence[float]) -> None:
    if _logarithmic(values):
        ax.set(**{f"{which}scale": "log"})
        axis = ax.xaxis if which == "x" else ax.yaxis
        axis.set_minor_formatter(NullFormatter())
        if max(values) / min(values) < _VERY_WIDE:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def _label(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """The names at the ends of the curves, spread so that none stands on another."""
    if not ends:
        ax.text(0.5, 0.5, "nothing was measured", transform=ax.transAxes, ha="center", fontsize=SIZES["text"])
        return
    to_axes = ax.transData + ax.transAxes.inverted()
    placed = sorted((float(to_axes.transform((size, value))[1]), name, colour) for size, value, name, colour in ends)
    heights = [height for height, _, _ in placed]
    for lower, upper in pairwise(range(len(heights))):
        heights[upper] = max(heights[upper], heights[lower] + _APART)
    over = max(0.0, heights[-1] - 1.0)
    for height, (_, name, colour) in zip(heights, placed, strict=True):
        written = ax.text(1.02, height - over, name, transform=ax.transAxes, fontsize=SIZES["small"], va="center")
        written.set(color=PALETTE[_LEGIBLE.get(colour, colour)], weight="bold")

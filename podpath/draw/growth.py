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
_DASHES: tuple[tuple[float, Sequence[float]] | Literal["-"], ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (5, 2, 1, 2)),
)
_WIDE = 30  # from the smallest to the largest: from here on a scale is logarithmic
_VERY_WIDE = 5000  # up to here there is room for 1, 2, 5, 10, ...; then for the powers of ten
_End = tuple[float, float, str, str, str]  # where a curve ends, its name, mark and colour
_APART = 0.065  # of the height: how far two labels must stand from each other


def growth(curves: Curves, x: str = "", y: str = "", unit: str = "s", ax: Axes | None = None) -> Axes:
    """Curves by name; each maps a size to what was measured there, once or more often, in `unit`.

    Sizes and measurements that range over more than 30 times are drawn on logarithmic scales.
    """
    ax = scales(ax, WIDTH * 0.8, 3.6)
    sizes = [size for curve in curves.values() for size in curve]
    measured = [value for curve in curves.values() for found in curve.values() for value in found]
    ends: list[_End] = []
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
        ends.append((*middles[-1], name, _MARKS[mark], colour))
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


def _label(ax: Axes, ends: Sequence[_End]) -> None:
    """The names at the ends of the curves, spread so that none stands on another.

    Each has its curve's mark before it. That alone has the curve's colour, which may be too light for letters.
    """
    if not ends:
        ax.text(0.5, 0.5, "nothing was measured", transform=ax.transAxes, ha="center", fontsize=SIZES["text"])
        return
    to_axes = ax.transData + ax.transAxes.inverted()
    placed = sorted((float(to_axes.transform(end[:2])[1]), end[2:]) for end in ends)
    heights = [height for height, _ in placed]
    for lower, upper in pairwise(range(len(heights))):
        heights[upper] = max(heights[upper], heights[lower] + _APART)
    over = max(0.0, heights[-1] - 1.0)
    for height, (_, (name, mark, colour)) in zip(heights, placed, strict=True):
        for place, text, shown in ((1.02, mark, colour), (1.05, name, "ink")):
            written = ax.text(place, height - over, text, transform=ax.transAxes, va="center")
            written.set(color=PALETTE[shown], weight="bold", fontsize=SIZES["small"])

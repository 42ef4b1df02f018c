"""The picture of how traffic was shared out, and of the shares that chance would allow."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from podpath.draw.style import PALETTE, WIDTH, line, scales, write
from podpath.shares import NO_ANSWER, bounds


def shares(counts: Mapping[str, int], expected: Mapping[str, float] | None = None, ax: Axes | None = None) -> Axes:
    """A bar for each who answered, with its count and share.

    `expected` gives the share each should have, between 0 and 1; without it, all have the same. The bracket is where
    an honest choice by chance ends up 999 times of 1,000; what is outside says so.
    """
    if expected is None:
        answering = [name for name in counts if name != NO_ANSWER]
        expected = dict.fromkeys(answering, 1 / len(answering)) if answering else {}
    names = list(dict.fromkeys([*expected, *counts]))
    total = sum(counts.values())
    ax = scales(ax, WIDTH, max(1.3, 0.75 + 0.42 * len(names)))
    reach = 0.0
    for lane, name in enumerate(names):
        reach = max(reach, _one(ax, lane, counts.get(name, 0), total, expected.get(name, 0.0)))
    right = min(1.0, reach) if reach else 1.0
    ax.set(xlim=(0, right * 1.6), ylim=(len(names) - 0.4, -0.6), xlabel=f"share of {total:,} requests")
    ax.set_yticks(range(len(names)), names)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value <= 1 else "")
    ax.tick_params(axis="y", length=0)
    return ax


def _one(ax: Axes, lane: int, count: int, total: int, share: float) -> float:
    """Draw one bar; how far to the right it and its bracket reach."""
    got = count / total if total else 0.0
    low, high = (bound / total for bound in bounds(total, share)) if total else (0.0, 0.0)
    honest = low <= got <= high
    fill, edge = ("blue tint", "blue") if honest else ("red tint", "red")
    bar = Rectangle((0, lane - 0.28), got, 0.56, fc=PALETTE[fill], ec=PALETTE[edge], lw=1.3, zorder=1)
    bar.set_hatch("" if honest else "///")
    ax.add_patch(bar)
    line(ax, [low, high], [lane, lane], behind=False, thick=1.6)
    for end in (low, high):
        line(ax, [end, end], [lane - 0.14, lane + 0.14], behind=False, thick=1.6)
    line(ax, [share, share], [lane - 0.36, lane + 0.36], dashed=True, behind=False, thick=1.0)
    words = f"  {count:,} ({got:.1%})"
    if not honest and share:
        words += f": too {'many' if got > high else 'few'} for a chance of {share:.1%}"
    write(ax, max(got, high), lane, words, "small", "ink" if honest else "red", bold=not honest)
    return max(got, high)

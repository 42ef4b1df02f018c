"""The picture of how traffic was shared out, and of the shares that chance would allow."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from podpath.draw.style import PALETTE, SIZES, WIDTH, line, scales, write
from podpath.shares import NO_ANSWER, bounds


def shares(counts: Mapping[str, int], expected: Mapping[str, float] | None = None, ax: Axes | None = None) -> Axes:
    """A bar for each who answered, with its count and its share of the answers.

    `expected` gives the share that each should have, or its weight; without it, all have the same. The bracket is where
    an honest choice by chance ends up 999 times of 1,000; what is outside says so. What had no answer (`NO_ANSWER`) has
    a bar to compare with, and no share.
    """
    if expected is None:
        expected = dict.fromkeys(counts, 1.0)
    expected = {name: weight for name, weight in expected.items() if name != NO_ANSWER}
    lost, whole = counts.get(NO_ANSWER, 0), sum(expected.values()) or 1.0
    names = [name for name in dict.fromkeys([*expected, *counts]) if name != NO_ANSWER]
    total = sum(counts.values()) - lost
    ax = scales(ax, WIDTH, max(1.3, 0.75 + 0.42 * len(names) + (0.42 if lost else 0.0)))
    reach = 0.0
    for lane, name in enumerate(names):
        reach = max(reach, _one(ax, lane, counts.get(name, 0), total, expected.get(name, 0.0) / whole))
    if lost:
        names.append(NO_ANSWER)
        reach = max(reach, _lost(ax, len(names) - 1, lost, total))
    right = reach or 1.0
    ax.set(xlim=(0, right * 1.6), ylim=(max(1, len(names)) - 0.4, -0.6), xlabel=f"share of {total:,} answers")
    ax.set_yticks(range(len(names)), names)
    if not names:
        ax.text(right / 2, 0, "nobody was asked", ha="center", va="center", fontsize=SIZES["text"])
    ax.set_xticks([tick for tick in MaxNLocator(6).tick_values(0, min(1.0, right)) if tick <= min(1.0, right * 1.6)])
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.tick_params(axis="y", length=0)
    return ax


def _lost(ax: Axes, lane: int, lost: int, total: int) -> float:
    """Draw what had no answer, no longer than all that had one; how far it reaches."""
    across = min(1.0, lost / total) if total else 1.0
    bar = Rectangle((0, lane - 0.28), across, 0.56, fc=PALETTE["paper"], ec=PALETTE["red"], lw=1.3, ls="--", zorder=1)
    ax.add_patch(bar)
    words = f"  {lost:,} of {total + lost:,} requests were lost"
    write(ax, across, lane, words, "small", "red", bold=True)
    return across


def _one(ax: Axes, lane: int, count: int, total: int, share: float) -> float:
    """Draw one bar; how far to the right it and its bracket reach."""
    got = count / total if total else 0.0
    low, high = (bound / total for bound in bounds(total, share)) if total else (0.0, 0.0)
    honest = low <= got <= high
    fill, edge = ("blue tint", "blue") if honest else ("red tint", "red")
    bar = Rectangle((0, lane - 0.28), got, 0.56, fc=PALETTE[fill], ec=PALETTE[edge], lw=1.3, zorder=1)
    bar.set_hatch("" if honest else "///")
    ax.add_patch(bar)
    if share:
        line(ax, [low, high], [lane, lane], behind=False, thick=1.6)
        for end in (low, high):
            line(ax, [end, end], [lane - 0.14, lane + 0.14], behind=False, thick=1.6)
        line(ax, [share, share], [lane - 0.36, lane + 0.36], dashed=True, behind=False, thick=1.0)
    words = f"  {count:,} ({got:.1%})" if total else "  0"
    if not honest:
        words += f": too {'many' if got > high else 'few'} for a chance of {share:.1%}" if share else ": not expected"
    write(ax, max(got, high), lane, words, "small", "ink" if honest else "red", bold=not honest)
    return max(got, high)

"""The picture of a table that changes over time: which entries there were, with what value, from when to when."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from podpath.draw.style import PALETTE, SERIES, SIZES, WIDTH, scales, widest, width, write
from podpath.tables import History, Span

_LANE, _MOST = 0.34, 40  # inches; lanes


def table(history: History, ax: Axes | None = None) -> Axes:
    """A lane for each key, in the order in which they appeared; time runs to the right.

    A bar says for how long a key had a value, which is written on it, or beside it; its colour only helps to see where
    that changes. A bar that is open on the right still stood at the end.
    """
    every = list(dict.fromkeys(span.key for span in history.spans))
    keys = every[-_MOST:]  # the latest
    spans = [span for span in history.spans if span.key in keys]
    values = list(dict.fromkeys(span.value for span in spans))
    ax = scales(ax, WIDTH, max(1.4, 0.75 + _LANE * len(keys)))
    end = max([history.seconds, *(span.end or span.start for span in spans)]) or 1.0
    inches = WIDTH - widest(keys, "small") - 0.5
    for span in spans:
        _bar(ax, span, keys.index(span.key), values.index(span.value), end, end / max(inches, 1.0))
    ax.set_yticks(range(len(keys)), keys)
    ax.set(xlim=(0, end), ylim=(len(keys) - 0.45, -0.55), xlabel="seconds" + _unseen(len(every)))
    ax.tick_params(axis="y", length=0)
    if not keys:
        ax.set_yticks([])
        ax.text(end / 2, -0.5, "it was empty all the time", ha="center", va="center", fontsize=SIZES["text"])
    return ax


def _unseen(count: int) -> str:
    return f"; {count - _MOST} earlier entries are not shown" if count > _MOST else ""


def _bar(ax: Axes, span: Span, lane: int, kind: int, end: float, per_inch: float) -> None:
    until = end if span.end is None else span.end
    colour = PALETTE[SERIES[kind % len(SERIES)]]
    fill = PALETTE[f"{SERIES[kind % len(SERIES)]} tint"]
    bar = Rectangle((span.start, lane - 0.36), until - span.start, 0.72, fc=fill, ec=colour, lw=1.2, zorder=2)
    if span.end is None:  # no line on the right: it goes on
        bar.set(edgecolor="none")
        for xs, ys in (
            ((span.start, until), (lane - 0.36, lane - 0.36)),
            ((span.start, until), (lane + 0.36, lane + 0.36)),
            ((span.start, span.start), (lane - 0.36, lane + 0.36)),
        ):
            ax.plot(xs, ys, color=colour, lw=1.2, zorder=3)
    ax.add_patch(bar)
    room, needed = (until - span.start) / per_inch, width(span.value, "small") + 0.12
    if needed <= room:
        write(ax, span.start + 0.06 * per_inch, lane, span.value, "small")
    elif (end - until) / per_inch > needed:
        write(ax, until + 0.05 * per_inch, lane, span.value, "tiny", "grey", over="paper")
    else:
        write(ax, until - 0.05 * per_inch, lane, span.value, "tiny", "ink", "right", over="paper")

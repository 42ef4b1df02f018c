"""The picture of a table that changes over time: which entries there were, with what value, from when to when."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from podpath.draw.style import PALETTE, SERIES, SIZES, WIDTH, line, scales, widest, width, write
from podpath.tables import History, Span

_BAR, _LINE, _GAP, _PAD = 0.25, 0.16, 0.09, 0.06  # inches
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---")


@dataclass(frozen=True)
class _Label:
    """Where a span's value is written: in a line of its lane (0 is that of the bars), from so many inches on."""

    span: Span
    line: int
    left: float


def table(history: History, ax: Axes | None = None) -> Axes:
    """A lane for each key, in the order in which they appeared; time runs to the right.

    A bar says for how long a key had a value. The value is written on it; where there is no room for that, beside it or
    below it. A bar that is open on the right still stood at the end.
    """
    keys = list(dict.fromkeys(span.key for span in history.spans))
    values = list(dict.fromkeys(span.value for span in history.spans))
    end = max([history.seconds, *(span.end or span.start for span in history.spans)]) or 1.0
    inches = max(2.0, WIDTH - widest(keys, "small") - 0.4)
    lanes = {key: _labels([span for span in history.spans if span.key == key], inches / end, inches) for key in keys}
    high = [_BAR + _GAP + _LINE * max(label.line for label in lanes[key]) for key in keys]
    ax = scales(ax, WIDTH, max(1.2, sum(high) + 0.75))
    y, middles = _GAP / 2, []
    for key, height in zip(keys, high, strict=True):
        for label in lanes[key]:
            _span(ax, label, y, values.index(label.span.value), end, inches / end)
        middles.append(y + _BAR / 2)
        y += height
    ax.set_yticks(middles, keys)
    ax.set(xlim=(0, end), ylim=(max(y, 0.4), 0), xlabel="seconds")
    ax.tick_params(axis="y", length=0)
    if not keys:
        ax.text(end / 2, 0.2, "it was empty all the time", ha="center", va="center", fontsize=SIZES["text"])
    return ax


def _labels(spans: Sequence[Span], scale: float, room: float) -> list[_Label]:
    """Where the values of one lane are written; `scale` is in inches per second. No two stand on one another."""
    placed: list[_Label] = []
    free = [0.0]  # for each line, from where on
    for number, span in enumerate(spans):
        start, until = span.start * scale, room if span.end is None else span.end * scale
        following = spans[number + 1].start * scale if number + 1 < len(spans) else room
        inside, outside = width(span.value, "small") + 2 * _PAD, width(span.value, "tiny") + _PAD
        if inside <= until - start and free[0] <= start:
            placed.append(_Label(span, 0, start + _PAD))
        elif until + outside <= following and free[0] <= until:
            placed.append(_Label(span, 0, until + _PAD))
            free[0] = until + outside
        else:
            left = max(_PAD, min(start, room - outside))
            below = next((n for n in range(1, len(free)) if free[n] <= left), len(free))
            free += [0.0] * (below + 1 - len(free))
            free[below] = left + outside + _PAD
            placed.append(_Label(span, below, left))
    return placed


def _span(ax: Axes, label: _Label, y: float, kind: int, end: float, scale: float) -> None:
    span = label.span
    until = end if span.end is None else span.end
    name = SERIES[kind % len(SERIES)]
    bar = Rectangle((span.start, y), until - span.start, _BAR, fc=PALETTE[f"{name} tint"], ec=PALETTE[name], zorder=2)
    bar.set(hatch=_HATCHES[kind // len(SERIES) % len(_HATCHES)] or None, linewidth=1.2)
    if span.end is None:  # no line on the right: it goes on
        bar.set(linewidth=0)
        line(ax, [until, span.start, span.start, until], [y, y, y + _BAR, y + _BAR], name, thick=1.2, behind=False)
    ax.add_patch(bar)
    at, middle = label.left / scale, y + _BAR / 2
    if label.line:
        middle += _BAR / 2 + label.line * _LINE - 0.06
        line(ax, [span.start, span.start], [y + _BAR, middle - 0.05], name, thick=1.0)
        write(ax, at, middle, span.value, "tiny", over="paper")
    elif at < until:
        write(ax, at, middle, span.value, "small", over=None if bar.get_hatch() is None else "paper")
    else:
        write(ax, at, middle, span.value, "tiny", "grey")

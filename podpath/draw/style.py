"""What all pictures have in common: colours, sizes, and the few shapes that they are made of.

Pictures without scales are laid out in inches, from the top left corner, at a width that a notebook and a sheet of
paper show unshrunk. Nothing rests on colour alone: words, dashes, hatches or markers say the same.
"""

from collections.abc import Iterable
from functools import cache

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

WIDTH = 9.6  # inches
SIZES = {"title": 10.0, "text": 9.0, "small": 8.0, "tiny": 7.0}  # points
LINE = 1.35  # from one line of text to the next, in sizes of its type


def _light(colour: str) -> str:
    red, green, blue = (1 - 0.22 * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


# Okabe and Ito's colours, which people who see colours differently can tell apart, and a light tint of each.
_STRONG = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
}
PALETTE = {
    "ink": "#222222",
    "grey": "#5E5E5E",
    "line": "#BBBBBB",
    "shade": "#F5F5F5",
    "paper": "#FFFFFF",
    "brown": "#8F4A00",  # orange, dark enough for small type
    **_STRONG,
    **{f"{name} tint": _light(colour) for name, colour in _STRONG.items()},
}
ROLES = {"kernel": "blue", "learner": "orange", "nobody": "grey", "yes": "green", "no": "red"}
COLOURS = {role: PALETTE[name] for role, name in ROLES.items()}
SERIES = ("blue", "red", "green", "purple", "orange", "sky")
DASHES = (0, (4, 3))


def canvas(ax: Axes | None, width: float, height: float) -> Axes:
    """Axes without scales on which one unit is an inch, and y goes down. Axes that are given are fitted to that."""
    if ax is None:
        ax = plt.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    return ax


def scales(ax: Axes | None, width: float, height: float) -> Axes:
    """Axes with scales, and no more lines than they need."""
    if ax is None:
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(PALETTE["line"])
    ax.tick_params(labelsize=SIZES["small"], labelcolor=PALETTE["ink"], color=PALETTE["line"])
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set(fontsize=SIZES["text"], color=PALETTE["ink"])
    return ax


def write(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    size: str = "text",
    colour: str = "ink",
    ha: str = "left",
    bold: bool = False,
    mono: bool = False,
    over: str | None = None,
) -> Text:
    """A line of text whose middle is at y. `over` is the colour that it blots out behind it."""
    written = ax.text(x, y, text, fontsize=SIZES[size], color=PALETTE[colour], zorder=5)
    written.set(horizontalalignment=ha, verticalalignment="center", weight="bold" if bold else "normal")
    written.set_parse_math(False)  # a rule may have dollars in it
    if mono:
        written.set_fontfamily("monospace")
    if over:
        written.set_bbox({"boxstyle": "square,pad=0.15", "fc": PALETTE[over], "ec": "none"})
    return written


def box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    edge: str = "ink",
    fill: str = "paper",
    dashed: bool = False,
    hatch: str = "",
    thick: float = 1.3,
    behind: bool = False,
) -> None:
    """A box with round corners."""
    radius = min(0.05, width / 3, height / 3)
    drawn = FancyBboxPatch((x, y), width, height, boxstyle=f"round,pad=0,rounding_size={radius:.3f}")
    drawn.set(edgecolor=PALETTE[edge], facecolor=PALETTE[fill], linewidth=thick, zorder=0 if behind else 2)
    drawn.set(linestyle=DASHES if dashed else "-", hatch=hatch or None)
    ax.add_patch(drawn)


def line(
    ax: Axes,
    xs: Iterable[float],
    ys: Iterable[float],
    colour: str = "ink",
    dashed: bool = False,
    thick: float = 1.3,
    behind: bool = True,
) -> Line2D:
    """A line through some points."""
    (drawn,) = ax.plot(list(xs), list(ys), color=PALETTE[colour], lw=thick, zorder=1 if behind else 3)
    if dashed:
        drawn.set_linestyle(DASHES)
    drawn.set_solid_capstyle("butt")
    return drawn


@cache
def _width(text: str, points: float, bold: bool, mono: bool) -> float:
    font = FontProperties(family="monospace" if mono else None, weight="bold" if bold else "normal", size=points)
    exact = float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72
    return exact * 1.03  # on a screen, letters move to the next whole pixel


def width(text: str, size: str = "text", bold: bool = False, mono: bool = False) -> float:
    """How wide a line of text is, in inches."""
    return _width(text, SIZES[size], bold, mono)


def widest(texts: Iterable[str], size: str = "text", bold: bool = False) -> float:
    """How wide the widest of some lines is, in inches; 0 if there are none."""
    return max((width(text, size, bold) for text in texts), default=0.0)


def wrapped(text: str, room: float, size: str = "text", mono: bool = False, bold: bool = False) -> list[str]:
    """Text in lines that are no wider than `room`, broken between words, and within one only where it must be."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if width(joined, size, bold, mono) <= room:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and width(lines[-1] + letter, size, bold, mono) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def si(value: float, unit: str = "s") -> str:
    """A number with three digits and the prefix that suits it.

    >>> si(0.000025), si(0.0125), si(3), si(0)
    ('25 µs', '12.5 ms', '3 s', '0 s')
    >>> si(20000, "")
    '20 k'
    """
    size = abs(value)
    prefix, factor = next(
        ((p, f) for p, f in (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("µ", 1e-6)) if size >= f),
        ("n", 1e-9) if size else ("", 1.0),
    )
    if size and size < 1 and not unit:
        prefix, factor = "", 1.0
    return f"{value / factor:.3g} {prefix}{unit}".strip()

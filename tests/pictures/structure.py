"""A picture as a structure: what is drawn, where, in which order. Pictures are compared by that, not by their pixels.

The stored structures are in `stored/`, one JSON file each. After a change that is meant, look at the pictures and renew
them, all or by name:

    .venv/bin/python -m tests.pictures.structure [NAME ...]

writes them, and beside them nothing else; with `--png FOLDER` it also draws each picture there, to be looked at.
"""

import difflib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text

from podpath.draw.style import PALETTE

STORED = Path(__file__).with_name("stored")
SLACK = 0.02  # of an axis: fonts differ by less from one release of matplotlib to the next
SHOWN = 6  # differences

Drawn = dict[str, Any]
_NAMES = {colour.lower(): name for name, colour in PALETTE.items()}


def structure(ax: Axes) -> list[Drawn]:
    """Everything visible on the axes, the lowest first; then, if they are shown, the axes' own scales and words."""
    assert isinstance(ax.figure, Figure)
    ax.figure.savefig(io.BytesIO(), format="png")  # ticks have their words only then
    own = {ax.patch, ax.xaxis, ax.yaxis, *ax.spines.values(), ax.title, ax._left_title, ax._right_title}  # type: ignore[attr-defined]
    seen = [artist for artist in ax.get_children() if artist.get_visible() and artist not in own]
    drawn = [_drawn(artist, ax) for artist in sorted(seen, key=lambda artist: artist.get_zorder())]
    return [one for one in drawn if one.get("text") != ""] + list(_scales(ax))


def _drawn(artist: Artist, ax: Axes) -> Drawn:
    if isinstance(artist, Text):
        place = [float(part) for part in artist.get_position()]
        told = {"kind": "text", "text": artist.get_text(), "colour": _name(artist.get_color()), "at": _round(place)}
        told |= {"size": artist.get_fontsize()}
        if artist.get_weight() == "bold":
            told["style"] = "bold"
        if artist.get_transform() == ax.transAxes:
            told["of"] = "the axes"
        return told
    if isinstance(artist, FancyBboxPatch | Rectangle):
        sides = [artist.get_x(), artist.get_y(), artist.get_width(), artist.get_height()]
        told = {"kind": "box", "colour": _name(artist.get_edgecolor()), "fill": _name(artist.get_facecolor())}
        told |= {"style": _dashes(artist.get_linestyle()), "hatch": artist.get_hatch() or "", "at": _round(sides)}
        return told
    if isinstance(artist, Line2D):
        points = np.column_stack([np.asarray(artist.get_xdata(), float), np.asarray(artist.get_ydata(), float)])
        told = {"kind": "line", "colour": _name(artist.get_color()), "style": _dashes(artist._unscaled_dash_pattern)}  # type: ignore[attr-defined]
        if artist.get_linestyle() == "None":
            told["style"] = "points"
        return told | {"marker": str(artist.get_marker()), "at": _round(points.ravel())}
    if isinstance(artist, Collection):
        box = artist.get_datalim(ax.transData)
        colours = [_name(tuple(colour)) for colour in (*artist.get_facecolor()[:1], *artist.get_edgecolor()[:1])]  # type: ignore[index,misc]
        told = {"kind": "many", "count": len(artist.get_paths()), "colours": colours}
        return told | {"at": _round([box.x0, box.y0, box.x1, box.y1])}
    raise TypeError(f"there is no word yet for what a {type(artist).__name__} looks like")


def _dashes(style: object) -> str:
    """ "solid", or the lengths of dashes and gaps."""
    if style in ("-", "solid", (0, None), (0.0, None)):
        return "solid"
    return str(style[1]) if isinstance(style, tuple) else str(style)


def _name(colour: object) -> str:
    if isinstance(colour, tuple) and len(colour) == 4 and colour[3] == 0:
        return "none"
    return _NAMES.get(to_hex(colour), to_hex(colour)) if colour != "none" else "none"  # type: ignore[arg-type]


def _round(numbers: Any) -> list[float]:
    return [float(f"{number:.4g}") for number in numbers]


def _scales(ax: Axes) -> Iterator[Drawn]:
    for name, axis, limits in (("x", ax.xaxis, ax.get_xlim()), ("y", ax.yaxis, ax.get_ylim())):
        told: Drawn = {"kind": f"{name} axis", "at": _round(limits)}
        if ax.axison:
            low, high = sorted(limits)
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            words = [label.get_text() for place, label in ticks if low <= place <= high]
            told |= {"text": axis.get_label_text(), "scale": axis.get_scale(), "ticks": words}
        yield told


def words(one: Drawn) -> str:
    """What something drawn is, for people, without where it is."""
    named = f" {one['text']!r}" if "text" in one else ""
    rest = [f"{key} {value}" for key, value in one.items() if key not in ("kind", "text", "at") and value != ""]
    return f"{one['kind']}{named} ({', '.join(rest)})"


def differences(now: list[Drawn], stored: list[Drawn]) -> list[str]:
    """What is drawn otherwise than it was, in words; nothing if it is the same."""
    ours, theirs = [words(one) for one in now], [words(one) for one in stored]
    if ours != theirs:
        return [
            f"{'new' if line[0] == '+' else 'gone'}: {line[2:]}"
            for line in difflib.ndiff(theirs, ours)
            if line[0] in "+-"
        ]
    spans = {
        one["kind"]: abs(one["at"][1] - one["at"][0]) if one.get("scale") != "log" else 0.0
        for one in now
        if one["kind"].endswith(" axis")
    }
    return [
        f"moved: {words(one)} is at {one['at']}, and was at {other['at']}"
        for one, other in zip(now, stored, strict=True)
        if not _near(one.get("at", []), other.get("at", []), spans)
    ]


def _near(here: list[float], there: list[float], spans: Mapping[str, float]) -> bool:
    if len(here) != len(there):
        return False
    slack = [SLACK * spans["x axis"], SLACK * spans["y axis"]]  # none on a logarithmic scale, but in proportion
    return all(
        abs(a - b) <= max(slack[number % 2], SLACK * abs(b) if not slack[number % 2] else 0.0)
        for number, (a, b) in enumerate(zip(here, there, strict=True))
    )


def read(name: str) -> list[Drawn]:
    """The stored structure of a picture."""
    path = STORED / f"{name}.json"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def store(name: str, drawn: list[Drawn]) -> None:
    """Keep a structure, one line for each thing that is drawn, so that a change of it can be read."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in drawn)
    STORED.mkdir(exist_ok=True)
    (STORED / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def compare(name: str, ax: Axes) -> None:
    """AssertionError, with the first differences in words, if a picture is not as stored."""
    found = differences(structure(ax), read(name))
    more = f"\n... and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    assert not found, (
        f"the picture {name!r} is not as it was stored:\n" + "\n".join(found[:SHOWN]) + more + "\n"
        "If that is meant, look at it and renew it: python -m tests.pictures.structure " + name
    )


def main(arguments: list[str]) -> None:
    """Renew the stored structures of the pictures named, or of all."""
    import matplotlib as mpl

    from tests.pictures.examples import EXAMPLES

    mpl.use("agg")
    folder = Path(arguments.pop(arguments.index("--png") + 1)) if "--png" in arguments else None
    wanted = [argument for argument in arguments if argument != "--png"] or list(EXAMPLES)
    for name in wanted:
        ax = EXAMPLES[name]()
        store(name, structure(ax))
        if folder:
            assert isinstance(ax.figure, Figure)
            ax.figure.savefig(folder / f"{name}.png", dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])

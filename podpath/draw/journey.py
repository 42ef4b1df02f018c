"""The picture of a journey: a packet's headers at every place where it was seen.

Time runs downwards. Each row is a place; rows of one host share a band. The headers stand side by side, the outermost
on the left, so that a packet that enters a tunnel is seen to grow. What is not as in the row above is bold and marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from podpath.draw.style import PALETTE, WIDTH, box, canvas, width, wrapped, write
from podpath.layers import Layer, layers
from podpath.trace import Died, Journey, aligned

_SHOWN = {  # of these headers, these fields
    "Ethernet": ("source", "destination"),
    "IPv4": ("source", "destination", "ttl"),
    "TCP": ("source port", "destination port", "flags"),
    "ARP": ("operation", "sender", "target"),
}
_SHORT = {"source": "from", "destination": "to", "source port": "from", "destination port": "to"}
_TUNNEL = ["IPv4", "UDP", "VXLAN"]
_ROW, _TITLE, _LINE, _GAP, _EDGE = 0.68, 0.42, 0.135, 0.05, 0.1  # inches


@dataclass(frozen=True)
class _Cell:
    """A box: one header, or the headers of a tunnel. `lines` are its fields, each with whether it has changed."""

    title: str
    lines: tuple[tuple[str, bool], ...]
    new: bool

    @property
    def width(self) -> float:
        texts = [width(text, "tiny", bold=changed) for text, changed in self.lines]
        return max([0.8, width(self.title, "tiny", bold=self.new), *texts]) + 0.16


@dataclass(frozen=True)
class _Row:
    place: str
    host: str
    cells: tuple[_Cell, ...]
    size: int  # of the frame, in bytes
    grown: bool
    later: float  # seconds after the row before


def journeys(told: Sequence[Journey], died: Died | None, ax: Axes | None = None) -> Axes:
    """Packets, one below the other, each with its way; below them where the conversation failed, if it did."""
    packets = [(_called(one), _rows(one)) for one in told]
    rows = [row for _, its in packets for row in its]
    columns = max((len(row.cells) for row in rows), default=1)
    wide = [max((_cell(row, n, columns) for row in rows), default=0.8) for n in range(columns)]
    left = max((width(row.place, "small") for row in rows), default=1.0) + 2 * _EDGE + 0.1
    across = max(left + sum(wide) + columns * _GAP + 0.75, WIDTH / 2)
    why = wrapped(f"✗ {died.why}", across - 2 * _EDGE, bold=True) if died else []
    high = len(packets) * _TITLE + len(rows) * _ROW + len(why) * 0.17 + 0.15
    ax = canvas(ax, across, max(high, 0.5))
    y = 0.0
    for title, its in packets:
        write(ax, _EDGE, y + _TITLE * 0.6, title, "title", bold=True)
        y = _packet(ax, its, y + _TITLE, left, wide, across)
    for number, line in enumerate(why):
        write(ax, _EDGE, y + 0.15 + number * 0.17, line, colour="red", bold=True)
    if not packets and not died:
        write(ax, _EDGE, 0.25, "Nothing was seen.")
    return ax


def _cell(row: _Row, column: int, columns: int) -> float:
    """How wide a row's cell in a column is. The innermost headers of all rows stand below each other."""
    index = column - (columns - len(row.cells))
    return row.cells[index].width if index >= 0 else 0.0


def _packet(ax: Axes, rows: Sequence[_Row], y: float, left: float, wide: Sequence[float], across: float) -> float:
    band, host = 0, ""
    for row in rows:
        shade = "shade" if band == (row.host != host) else "paper"
        if row.host != host:
            host, band = row.host, 1 - band
        ax.add_patch(Rectangle((0, y), across, _ROW, fc=PALETTE[shade], ec="none", zorder=0))
        if row is rows[0] or rows[rows.index(row) - 1].host != row.host:
            write(ax, _EDGE, y + 0.17, row.host, bold=True)
        write(ax, _EDGE + 0.1, y + 0.42, row.place, "small")
        x, first = left, len(wide) - len(row.cells)
        for column, room in enumerate(wide):
            if column >= first:
                _draw(ax, row.cells[column - first], x, y, room)
            x += room + _GAP
        write(ax, across - _EDGE, y + 0.22, _later(row.later), "tiny", "grey", "right")
        size = f"{'◆ ' if row.grown else ''}{row.size} B"
        write(ax, across - _EDGE, y + 0.4, size, "tiny", "brown" if row.grown else "grey", "right", bold=row.grown)
        y += _ROW
    return y


def _draw(ax: Axes, cell: _Cell, x: float, y: float, room: float) -> None:
    marked = cell.new or any(changed for _, changed in cell.lines)
    edge, thick = ("orange", 1.6) if marked else ("line", 0.8)
    box(ax, x, y + 0.04, room, _ROW - 0.08, edge, thick=thick)
    write(ax, x + 0.08, y + 0.13, cell.title, "tiny", "brown" if cell.new else "grey", bold=cell.new)
    for number, (text, changed) in enumerate(cell.lines):
        colour = "brown" if changed else "ink"
        write(ax, x + 0.08, y + 0.26 + number * _LINE, text, "tiny", colour, bold=changed)


def _later(seconds: float) -> str:
    """To the microsecond: the clock tells no more."""
    return f"+{seconds * 1e6:.0f} µs" if seconds < 0.001 else f"+{seconds * 1e3:.1f} ms"


def _called(one: Journey) -> str:
    """What a packet is called above its rows: its innermost header."""
    inner = [layer for layer in layers(one.way[0].frame) if layer.name != "payload"][-1:]
    words = [inner[0].name, *(inner[0].fields[n] for n in ("operation", "type", "flags") if n in inner[0].fields)]
    return " ".join(words)


def _rows(one: Journey) -> list[_Row]:
    frames = [seen.frame for seen in one.way]
    rows = []
    for number, (seen, (before, now)) in enumerate(zip(one.way, pairwise([frames[0], *frames]), strict=True)):
        arrow = "leaves by" if seen.place.outgoing else "arrives at"
        rows.append(
            _Row(
                f"{arrow} {seen.place.interface}",
                seen.place.host,
                tuple(_cells(aligned(before, now))),
                len(now),
                len(now) != len(before),
                seen.time - one.way[max(0, number - 1)].time,
            )
        )
    return rows


def _cells(pairs: Sequence[tuple[Layer | None, Layer | None]]) -> list[_Cell]:
    """A cell for each header there is now; one for the three that make a tunnel."""
    here = [(old, new) for old, new in pairs if new is not None]
    names = [new.name for _, new in here]
    cells, at = [], 0
    while at < len(here):
        together = 3 if names[at : at + 3] == _TUNNEL else 1
        cells.append(_tunnel(here[at : at + 3]) if together == 3 else _one(*here[at]))
        at += together
    return cells


def _one(old: Layer | None, new: Layer) -> _Cell:
    wanted = _SHOWN.get(new.name, tuple(new.fields)[:3])
    shown = [name for name in wanted if name in new.fields]
    lines = [(_SHORT.get(name, name), new.fields[name], _differs(old, new, name)) for name in shown]
    return _Cell(f"{'◆ ' if old is None else ''}{new.name}", tuple(map(_line, lines)), old is None)


def _tunnel(three: Sequence[tuple[Layer | None, Layer]]) -> _Cell:
    (old, outer), (_, datagram), (_, tunnel) = three
    lines = [(_SHORT[name], outer.fields[name], _differs(old, outer, name)) for name in ("source", "destination")]
    lines.append(("to port", f"{datagram.fields['destination port']}, vni {tunnel.fields['vni']}", False))
    return _Cell(f"{'◆ ' if old is None else ''}IPv4, UDP, VXLAN", tuple(map(_line, lines)), old is None)


def _differs(old: Layer | None, new: Layer, name: str) -> bool:
    return old is not None and old.fields.get(name) != new.fields[name]


def _line(told: tuple[str, str, bool]) -> tuple[str, bool]:
    name, value, changed = told
    return f"{'◆ ' if changed else ''}{name} {value}", changed

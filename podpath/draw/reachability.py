"""The picture of who reaches whom."""

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Rectangle

from podpath.draw.style import PALETTE, ROLES, SIZES, WIDTH, box, canvas, widest, write
from podpath.probe import Reachability

_WORDY = 0.3  # inches: the smallest cell with room for a word


def reachability(matrix: Reachability, ax: Axes | None = None) -> Axes:
    """Who reaches whom: a row for each that asks, a column for each that is asked.

    "yes" is a filled cell; "no" is an empty one, crossed out where there is no room for the word; a pair that was not
    asked is grey.
    """
    names, count = matrix.names, max(1, len(matrix.names))
    label = widest(names, "small") + 0.15
    cell = max(SIZES["tiny"] * 1.25 / 72, min(0.52, (WIDTH - label - 0.4) / count))
    upright = widest(names, "small") > cell - 0.04
    head = 0.35 + (label if upright else 0.2)
    left = label + 0.3
    ax = canvas(ax, max(2.6, left + count * cell + 0.1), head + count * cell + 0.35)
    write(ax, left, 0.13, "is asked →", "small", "grey")
    write(ax, 0.08, head - 0.12, "asks ↓", "small", "grey")
    size = "small" if cell > 0.15 else "tiny"
    for number, name in enumerate(names):
        at = (number + 0.5) * cell
        write(ax, left - 0.08, head + at, name, size, ha="right")
        written = write(ax, left + at, head - 0.07, name, size, ha="center")
        written.set(verticalalignment="bottom", rotation=90 if upright else 0)
        for row, source in enumerate(names if cell >= _WORDY else ()):
            _cell(ax, matrix.mark(source, name), left + number * cell, head + row * cell, cell)
    if cell < _WORDY:
        _small(ax, matrix, left, head, cell)
    missing = len(matrix.missing)
    told = (
        f"no answer from {missing} of {len(matrix.echoes)} pairs" if missing else "every pair that was asked answered"
    )
    write(ax, left, head + count * cell + 0.17, told if matrix.echoes else "nobody was asked", "small", "grey")
    return ax


def _cell(ax: Axes, mark: str, x: float, y: float, side: float) -> None:
    gap = min(0.04, side / 8)
    edge = ROLES.get(mark, "shade")
    fill = {"yes": ROLES["yes"], "no": "paper"}.get(mark, "shade")
    box(ax, x + gap / 2, y + gap / 2, side - gap, side - gap, edge, fill)
    if mark:
        write(ax, x + side / 2, y + side / 2, mark, "text", "paper" if mark == "yes" else "red", "center", True)


def _small(ax: Axes, matrix: Reachability, left: float, top: float, side: float) -> None:
    """All cells, without words, as few artists: thousands would take a minute."""
    cells: dict[str, list[Rectangle]] = {"yes": [], "no": [], "": []}
    crosses: list[list[tuple[float, float]]] = []
    for row, source in enumerate(matrix.names):
        for column, name in enumerate(matrix.names):
            x, y, mark = left + column * side, top + row * side, matrix.mark(source, name)
            cells[mark].append(Rectangle((x + side * 0.06, y + side * 0.06), side * 0.88, side * 0.88))
            if mark == "no":
                near, far = side * 0.2, side * 0.8
                crosses += [[(x + near, y + near), (x + far, y + far)], [(x + near, y + far), (x + far, y + near)]]
    for mark, fill in (("", "shade"), ("yes", ROLES["yes"]), ("no", "paper")):
        edge = ROLES.get(mark, "shade")
        ax.add_collection(PatchCollection(cells[mark], facecolor=PALETTE[fill], edgecolor=PALETTE[edge], lw=0.5))
    ax.add_collection(LineCollection(crosses, colors=PALETTE["red"], linewidths=0.9))

"""The picture of who reaches whom."""

from matplotlib.axes import Axes

from podpath.draw.style import ROLES, SIZES, WIDTH, box, canvas, line, widest, write
from podpath.probe import Reachability


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
        for row, source in enumerate(names):
            _cell(ax, matrix.mark(source, name), left + number * cell, head + row * cell, cell)
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
    box(ax, x + gap / 2, y + gap / 2, side - gap, side - gap, edge, fill, thick=1.3 if side > 0.3 else 0.7)
    if mark and side >= 0.3:
        write(ax, x + side / 2, y + side / 2, mark, "text", "paper" if mark == "yes" else "red", "center", True)
    elif mark == "no":
        far = gap * 1.5
        for start, end in ((y + far, y + side - far), (y + side - far, y + far)):
            line(ax, [x + far, x + side - far], [start, end], "red", thick=0.9, behind=False)

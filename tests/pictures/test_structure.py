"""Each picture is as it was stored; and the comparison says in words what is not."""

import copy
import doctest
import io
from collections.abc import Callable, Iterator
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from podpath import draw, topology
from podpath.draw import style
from podpath.rules import Rule
from podpath.shares import NO_ANSWER
from podpath.tables import Span

from .examples import EXAMPLES, a_history, a_matrix
from .structure import STORED, compare, differences, structure

LONG = [f"a-rather-long-name-{number}" for number in range(40)]
HARD: dict[str, Callable[[], Axes]] = {
    "one pod": lambda: draw.topology(topology.plan(1, 1)),
    "no pods": lambda: draw.topology(topology.plan(2, 0)),
    "long names": lambda: draw.topology(topology.plan(2, [["twelve-chars", "other-twelve"], ["b"]])),
    "40 pods on 3 nodes": lambda: draw.topology(topology.plan(3, 14, "learner")),
    "12 nodes": lambda: draw.topology(topology.plan(12, 2)),
    "nobody to ask": lambda: draw.reachability(a_matrix(0)),
    "one to ask": lambda: draw.reachability(a_matrix(1)),
    "40 to ask": lambda: draw.reachability(a_matrix(40)),
    "nothing was seen": lambda: draw.journeys([], None),
    "a short table": lambda: draw.table(a_history([Span("a", "b", 0.0, 0.0)], 0.0)),
    "a table of long words": lambda: draw.table(a_history([Span(key, key * 2, 0.1) for key in LONG], 1.0)),
    "a restless entry": lambda: draw.table(a_history([Span("k", f"{n}", n / 9, n / 9 + 0.1) for n in range(9)], 1.0)),
    "a mad entry": lambda: draw.table(a_history([Span("k", LONG[n], n / 90, n / 90 + 0.01) for n in range(40)], 1.0)),
    "no rules": lambda: draw.rules([]),
    "a rule that is long": lambda: draw.rules([Rule("A", "-m comment " * 40, ("A",), 10**9, 0)], []),
    "40 rules": lambda: draw.rules(
        [Rule("A", f"-s 10.0.0.{number} $a_{{b}}$", (), number, 0) for number in range(40)]
    ),
    "nobody answered": lambda: draw.shares({NO_ANSWER: 7}),
    "nobody was asked": lambda: draw.shares({}),
    "40 who answer": lambda: draw.shares(dict.fromkeys(LONG, 3)),
    "no curves": lambda: draw.growth({}),
    "many curves": lambda: draw.growth({name: {1.0: [1e-6], 1e6: [1.0]} for name in LONG[:8]}, "size", "time"),
    "zeros": lambda: draw.growth({"a": {0.0: [0.0], 1.0: [0.0]}}, unit=""),
}


@pytest.fixture(autouse=True)
def on_paper() -> Iterator[None]:
    """Draw without a screen, and forget every figure."""
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_picture_is_as_it_was_stored(name: str) -> None:
    compare(name, EXAMPLES[name]())


def test_nothing_is_stored_that_is_not_drawn() -> None:
    assert {path.stem for path in STORED.glob("*.json")} == set(EXAMPLES)


def test_a_difference_is_told_in_words() -> None:
    stored = structure(EXAMPLES["topology"]())
    other = copy.deepcopy(stored)
    index = next(number for number, one in enumerate(other) if one.get("text") == "pod2")
    other[index]["text"] = "pod9"
    told = differences(other, stored)
    assert told == [
        "gone: text 'pod2' (colour ink, size 9.0, style bold)",
        "new: text 'pod9' (colour ink, size 9.0, style bold)",
    ]
    moved = copy.deepcopy(stored)
    moved[index]["at"][0] += 1
    assert differences(moved, stored)[0].startswith("moved: text 'pod2'")
    assert differences(stored[1:], stored)[0].startswith("gone: box")
    assert differences(stored[::-1], stored)
    assert differences(stored, copy.deepcopy(stored)) == []


@pytest.mark.parametrize("dashed", [True, False])
def test_dashes_hatches_and_the_order_are_part_of_the_structure(dashed: bool) -> None:
    one, other = (plt.figure().add_axes((0, 0, 1, 1)) for _ in range(2))
    for ax, mine in ((one, dashed), (other, not dashed)):
        style.box(style.canvas(ax, 2, 1), 0.2, 0.2, 1, 0.5, dashed=mine)
    assert differences(structure(one), structure(other))


@pytest.mark.parametrize("name", [*EXAMPLES, *HARD])
def test_a_picture_can_be_read(name: str) -> None:
    """No warning, no small type, nothing cut off or written over, and no wider than a notebook."""
    ax = (EXAMPLES | HARD)[name]()
    assert isinstance(ax.figure, Figure)
    figure = ax.figure
    figure.savefig(io.BytesIO(), format="png", dpi=100)
    assert figure.get_size_inches()[0] <= style.WIDTH + 0.3
    labels = [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label] if ax.axison else []
    texts = [text for text in (*ax.texts, *labels) if text.get_text() and _shown(text, ax)]
    extents = [text.get_window_extent().padded(-1) for text in texts]
    for text, extent in zip(texts, extents, strict=True):
        assert text.get_fontsize() >= 6.5, text.get_text()
        assert extent.x0 >= 0, text.get_text()
        assert extent.y0 >= 0, text.get_text()
        assert extent.x1 <= figure.bbox.x1, text.get_text()
        assert extent.y1 <= figure.bbox.y1, text.get_text()
    crossing = [(texts[a].get_text(), texts[b].get_text()) for a, b in _pairs(extents)]
    assert not crossing, crossing[:3]


def _shown(text: Text, ax: Axes) -> bool:
    """matplotlib keeps the labels of ticks that are beyond the limits."""
    if text.get_text() and text in ax.get_xticklabels():
        return min(ax.get_xlim()) <= text.get_position()[0] <= max(ax.get_xlim())
    if text.get_text() and text in ax.get_yticklabels():
        return min(ax.get_ylim()) <= text.get_position()[1] <= max(ax.get_ylim())
    return True


def _pairs(extents: list[mpl.transforms.Bbox]) -> list[tuple[int, int]]:
    return [(a, b) for a, b in combinations(range(len(extents)), 2) if extents[a].overlaps(extents[b])]


def test_the_examples_in_its_documentation_hold() -> None:
    assert doctest.testmod(style) == (0, 2)

"""Pictures: they are drawn without a warning, and say in words what they show."""

import io
import itertools
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podpath import draw, topology
from podpath.probe import Echo, Reachability

SHAPES = [(1, 0), (1, 1), (1, 3), (2, 2), (3, 4), (5, 1), (1, 12)]


@pytest.fixture(autouse=True)
def on_paper() -> Iterator[None]:
    """Draw without a screen, and forget every figure."""
    mpl.use("Agg")
    yield
    plt.close("all")


def painted(ax: Axes) -> set[str]:
    """Paint the figure, in which a warning would be an error; the words on it."""
    assert isinstance(ax.figure, Figure)
    ax.figure.savefig(io.BytesIO(), format="png")
    labels = [*ax.get_xticklabels(), *ax.get_yticklabels()] if ax.axison else []
    return {text.get_text() for text in (*ax.texts, *labels)}


def a_matrix(count: int) -> Reachability:
    names = [f"pod{i}" for i in range(count)]
    pairs = itertools.permutations(names, 2)
    return Reachability(names, [Echo(a, b, 0.001 if i % 3 else None, 1) for i, (a, b) in enumerate(pairs)])


@pytest.mark.parametrize("network", ["kernel", "nobody", "learner"])
@pytest.mark.parametrize(("nodes", "pods"), SHAPES)
def test_a_topology_shows_every_host_its_address_and_who_plays(nodes: int, pods: int, network: str) -> None:
    plan = topology.plan(nodes, pods, network)
    words = " ".join(painted(draw.topology(plan)))
    for host in plan.hosts.values():
        assert host.name in words
        assert host.role == "fabric" or str(host.address.ip) in words
    assert {"kernel": "the kernel's bridge", "nobody": "no bridge", "learner": "your bridge"}[network] in words


def test_the_ports_of_a_node_are_named() -> None:
    assert {"topod1", "topod2", "cbr0 10.244.1.1"} <= painted(draw.topology(topology.plan(1, 2)))
    assert {"topod1", "topod2", "uplink"} <= painted(draw.topology(topology.plan(1, 2, "learner")))


def test_pods_on_some_nodes_only_and_long_names_can_be_drawn() -> None:
    plan = topology.plan(3, [["a", "twelve-chars"], [], ["b"]])
    assert {"a", "twelve-chars", "b"} <= painted(draw.topology(plan))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 31])
def test_a_matrix_shows_every_host_on_both_sides(count: int) -> None:
    words = painted(draw.reachability(a_matrix(count)))
    assert {f"pod{i}" for i in range(count)} <= words


def test_a_matrix_says_yes_and_no_in_words_not_by_colour_alone() -> None:
    assert {"yes", "no"} <= painted(draw.reachability(a_matrix(3)))


def test_a_pair_that_was_not_asked_is_left_blank() -> None:
    words = painted(draw.reachability(Reachability(["a", "b"], [Echo("a", "b", 0.001, 1)])))
    assert "yes" in words
    assert "no" not in words


def test_a_picture_can_be_drawn_into_axes_that_are_there() -> None:
    figure, (left, right) = plt.subplots(1, 2)
    assert draw.topology(topology.plan(1, 2), left) is left
    assert a_matrix(3).plot(right) is right
    assert len(plt.get_fignums()) == 1
    figure.savefig(io.BytesIO(), format="png")

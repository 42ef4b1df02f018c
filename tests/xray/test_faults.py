"""Two hundred faults at random places: the X-ray names each place, and nothing else."""

import pytest

from .faults import FAULTS, find

BLOCK = 10  # faults per test


@pytest.mark.sandboxed
@pytest.mark.parametrize("first", range(0, 40, BLOCK))
@pytest.mark.parametrize("kind", FAULTS)
def test_the_place_of_a_fault_is_named(kind: str, first: int) -> None:
    told = [find(kind, seed) for seed in range(first, first + BLOCK)]
    assert [text for right, text in told if not right] == []

"""The pure modules: they do no I/O, so they need no Mininet, no sockets, no matplotlib; and their examples hold."""

import doctest
import importlib
import subprocess
import sys

import pytest

import podpath

PURE = [
    "layers",
    "packets",
    "datapath",
    "bench",
    "topology",
    "players",
    "routing",
    "errors",
    "path",
    "journey",
    "trace",
    "pcapng",
]
HAVE_EXAMPLES = ["layers", "bench"]
DOES_IO = ["mininet", "matplotlib", "socket", "select", "subprocess", "threading", "podpath.live", "podpath.cluster"]


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_brings_nothing_along_that_does_io(name: str) -> None:
    program = f"import sys; import podpath.{name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    bare = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True)
    brought = set(done.stdout.split()) - set(bare.stdout.split())
    assert f"podpath.{name}" in brought
    assert not brought & set(DOES_IO)


@pytest.mark.parametrize("name", PURE)
def test_the_examples_in_its_documentation_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"podpath.{name}"))
    assert results.failed == 0
    assert bool(results.attempted) == (name in HAVE_EXAMPLES)


def test_the_package_says_what_it_has_when_asked_for_what_it_has_not() -> None:
    assert podpath.packets is importlib.import_module("podpath.packets")
    with pytest.raises(AttributeError, match="podpath has no 'Clutser'; it has Bench, Cluster"):
        _ = podpath.Clutser

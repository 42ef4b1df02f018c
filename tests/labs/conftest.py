"""What the tests of the labs share."""

import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def load() -> Iterator[None]:
    """Two programs that keep the processors busy meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for program in busy:
            program.kill()
            program.wait()

"""What the tests of the labs share."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def load() -> Iterator[None]:
    """Programs that keep both processors busy meanwhile. Of two workers that test side by side, each brings one."""
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(1 if beside > 1 else 2)]
    try:
        yield
    finally:
        for program in busy:
            program.kill()
            program.wait()

"""Between a benchmark, which runs in a process of its own, and `run.py`: progress on stderr, the outcome on stdout."""

import json
import sys
from collections.abc import Sequence

from comparison import Comparison


def progress(text: str) -> None:
    """Say where we are."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def write(comparisons: Sequence[Comparison], missing: Sequence[str] = ()) -> None:
    """Hand over what was measured, and what could not be, each in a sentence that says why."""
    json.dump({"comparisons": [one.as_json() for one in comparisons], "missing": list(missing)}, sys.stdout)
    sys.stdout.flush()


def read(output: bytes) -> tuple[list[Comparison], list[str]]:
    """The same at the other end."""
    data = json.loads(output)
    return [Comparison.from_json(one) for one in data["comparisons"]], data["missing"]

"""The right and wrong solutions of each lab, and what is written at their top.

A wrong one says in its docstring which check is meant to catch it, and a part of the message that names the mistake:

    caught-by: flood-unknown
    says: came back to the sender
    cites: BR-35
"""

import re
from dataclasses import dataclass
from pathlib import Path

from grader import solution
from grader.check import Lab
from grader.checks import labs
from grader.jail import Cell

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Solution:
    """One file of tests/right or tests/wrong."""

    lab: Lab
    path: Path

    @property
    def cells(self) -> list[Cell]:
        """Its program, as a submission."""
        return solution.read(self.path, self.lab)

    def header(self, key: str) -> str:
        """What its docstring says under `key`. Not by Python's own parser: some cannot be parsed, on purpose."""
        found = re.search(rf"^{key}: (.+)$", self.path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found, f"{self.path} does not say '{key}:'"
        return found[1].strip()

    def __str__(self) -> str:
        return f"{self.lab.number}-{self.path.stem}"


def solutions(kind: str) -> list[Solution]:
    """All of a kind ("right" or "wrong"), of all labs."""
    return [Solution(lab, path) for lab in labs() for path in sorted((TESTS / kind / lab.number).glob("*.py"))]

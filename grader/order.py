"""An order: everything that a report depends on. Two orders with one key get one report, whoever grades them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Self

from grader.check import Lab
from grader.jail import Cell
from grader.version import checks_version


@dataclass(frozen=True)
class Order:
    """A learner's program, to be graded by a lab's checks of a certain version, with random inputs from a seed.

    Where there is a `refusal`, the submission could not be read, and nothing is to be run. `open_jail` is for machines
    that cannot do all that the jail promises, and for teachers who go on all the same.
    """

    lab: str
    version: str
    seed: int
    cells: tuple[Cell, ...]
    refusal: str = ""
    open_jail: bool = False

    @classmethod
    def of(cls, lab: Lab, seed: int, cells: list[Cell], refusal: str = "", open_jail: bool = False) -> Self:
        """An order for the checks as they are on this machine."""
        return cls(lab.full_name, checks_version(lab), seed, tuple(cells), refusal, open_jail)

    @property
    def key(self) -> str:
        """The name of its report, in 64 hexadecimal digits."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()

    def as_text(self) -> str:
        """As JSON, always the same for the same order."""
        cells = [[cell.label, cell.source, cell.whole] for cell in self.cells]
        fields = [self.lab, self.version, self.seed, cells, self.refusal, self.open_jail]
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The same order again."""
        lab, version, seed, cells, *rest = json.loads(text)
        return cls(lab, version, seed, tuple(Cell(*cell) for cell in cells), *rest)

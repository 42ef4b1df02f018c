"""What a benchmark finds out: two things measured side by side, as a ratio with its spread. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """What is wanted: that the ratio, or our own median, is at most (or at least) `limit`."""

    limit: float
    bound: Literal["at most", "at least"] = "at most"
    of: Literal["ratio", "ours"] = "ratio"

    def met(self, value: float) -> bool:
        return value <= self.limit if self.bound == "at most" else value >= self.limit


@dataclass(frozen=True)
class Comparison:
    """`ours` beside `theirs`, one number each for every round; both in `unit`. `note` says what else one must know."""

    name: str
    what: str
    against: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float]
    target: Target | None = None
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, round by round: what slows the machine for a while then slows both."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None:
            return None
        return self.target.met(self.ratio if self.target.of == "ratio" else statistics.median(self.ours))

    def as_json(self) -> dict[str, Any]:
        """As plain data; `from_json` makes it a Comparison again and takes no notice of what was worked out."""
        worked_out = {
            "ratio": self.ratio,
            "ratio_spread": [min(self.ratios), max(self.ratios)],
            "ours_median": statistics.median(self.ours),
            "theirs_median": statistics.median(self.theirs),
            "met": self.met,
        }
        return asdict(self) | worked_out

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Comparison":
        known = {name: data[name] for name in Comparison.__dataclass_fields__}
        return Comparison(**known | {"target": data["target"] and Target(**data["target"])})


def amount(values: Sequence[float], unit: str) -> str:
    """The median of some measurements, for people, and how far the others are from it: `0.21 s (0.20 to 0.25)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if unit == "s" and middle < 1:
        low, middle, high, unit = low * 1000, middle * 1000, high * 1000, "ms"
    return f"{number(middle)} {unit} ({number(low)} to {number(high)})"


def number(value: float) -> str:
    """Three significant digits, and thousands marked."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

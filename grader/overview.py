"""What a whole class did not get: which checks fail most, and what its students are told most often.

It is read from the reports of `./lab grade`, and is for the teacher, because that is what the next lecture is about.
"""

import json
import re
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grader.check import Lab, Report

_MESSAGES = 5  # the most frequent ones
_BAR = 20  # characters


class NoReports(ValueError):
    """There is nothing to look at yet; the text says what comes first."""


@dataclass(frozen=True)
class Overview:
    """The reports of a class on one lab."""

    lab: Lab
    reports: tuple[Report, ...]

    @classmethod
    def of(cls, lab: Lab, course: Path) -> Self:
        """That of a course directory. Raises NoReports."""
        files = sorted(course.glob(f"reports/*/{lab.full_name}/*.json"))
        found = [Report.from_json(json.loads(file.read_text(encoding="utf-8"))["report"]) for file in files]
        if not found:
            raise NoReports(f"there are no reports on lab {lab.full_name} in {course}: ./lab grade comes first")
        return cls(lab, tuple(found))

    def failures(self) -> dict[str, int]:
        """By name of a check, in the lab's order, how many failed it."""
        failed = Counter(result.name for report in self.reports for result in report.checks if not result.passed)
        return {check.name: failed[check.name] for check in self.lab.checks}

    def messages(self) -> list[tuple[str, int]]:
        """What was said most often, with how many students heard it. What differs in each is left out."""
        heard = Counter[str]()
        for report in self.reports:
            heard.update({alike(result.reason) for result in report.checks if not result.passed})
        return [(message, count) for message, count in heard.most_common(_MESSAGES) if message]

    def __str__(self) -> str:
        count = len(self.reports)
        points = sorted(report.points for report in self.reports)
        lines = [
            f"lab {self.lab.full_name}: {count} reports, {self.reports[0].max_points} points at most, "
            f"{sum(points) / count:.1f} on average, {points[count // 2]} in the middle",
            "",
            "failed by",
        ]
        for name, failed in sorted(self.failures().items(), key=lambda one: -one[1]):
            lines.append(f"{failed:5}  {'#' * round(_BAR * failed / count):{_BAR}}  {name}")
        lines += ["", "told to"]
        for message, heard in self.messages():
            first, *rest = textwrap.wrap(message, 100)
            lines += [f"{heard:5}  {first}", *(f"       {line}" for line in rest)]
        return "\n".join(lines)

    def plot(self, file: Path) -> None:
        """Draw the first table. Raises ValueError for a kind of file that matplotlib does not write."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        failures = self.failures()
        figure = Figure(figsize=(8, 1 + 0.3 * len(failures)), layout="constrained")
        axes = figure.subplots()
        names = [textwrap.shorten(name, 70) for name in failures]
        bars = axes.barh(names, list(failures.values()), color="#c2410c")
        axes.bar_label(bars, padding=3)
        axes.invert_yaxis()  # the first check on top
        axes.set_xlim(0, len(self.reports) * 1.05)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(f"students who fail it, of {len(self.reports)}")
        axes.set_title(f"lab {self.lab.full_name}")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, dpi=120)


def alike(reason: str) -> str:
    """A message without what is random in it: the same mistake, told to two students, is one message."""
    first = reason.split("\n")[0]
    first = re.sub(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", "...", first)  # MAC addresses
    first = re.sub(r"\b(t-[a-z]+|(?:eth|port|veth|to)-?[a-z]*\d+)\b", "...", first)  # hosts and ports
    first = re.sub(r"\b\d+(\.\d+)*\b", "N", first)
    return re.sub(r"\.\.\.(, (and )?\.\.\.)+", "...", first)

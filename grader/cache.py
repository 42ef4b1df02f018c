"""Reports that have been made, each under the key of its order.

What is there is whole: a report is written beside its place, is on the disk, and only then gets its name. So a machine
may lose its power at any moment, and any number of programs may read and write at once.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path

from grader.check import Report
from grader.order import Order


def write_whole(path: Path, text: str) -> None:
    """Make `path` hold `text`: all of it or, should anything stop us, what it held before. Folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(prefix=".", suffix=".unfinished", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too
    finally:
        os.close(folder)


class Reports:
    """The reports in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, order: Order) -> Report | None:
        """The report on an order, if it has been made. A file that does not hold it is as good as none."""
        try:
            found = json.loads(self._path(order).read_text(encoding="utf-8"))
            return Report.from_json(found["report"]) if found["key"] == order.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, order: Order, report: Report) -> None:
        """Keep a report."""
        write_whole(self._path(order), as_line({"key": order.key, "report": report.as_json()}))

    def tidy(self) -> None:
        """Remove what was being written when its writer was stopped. Only while nobody else writes."""
        for unfinished in self._folder.glob("*/.*.unfinished"):
            unfinished.unlink(missing_ok=True)

    def _path(self, order: Order) -> Path:
        return self._folder / order.key[:2] / f"{order.key}.json"


def as_line(value: object) -> str:
    """As JSON, always the same for the same value."""
    return json.dumps(value, separators=(",", ":")) + "\n"

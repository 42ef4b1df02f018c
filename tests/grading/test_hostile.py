"""Submissions that attack the grading, each graded for real, a few at a time and an honest one beside and after them.

What is at the top of each file in `tests/hostile` says what it tries, what it earns, and what its author is told. That
is not all: nothing may be left running, nothing outside the jail may have changed, and the honest one has its points.
"""

import ctypes
import hashlib
import os
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader import checks, fleet, solution
from grader.jail import Cell
from grader.order import Order

TESTS = Path(__file__).parent.parent
HOSTILE = sorted((TESTS / "hostile").glob("*.py"))
BATCHES = [HOSTILE[first::10] for first in range(10)]
LAB = checks.find("02")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: what is orphaned below us becomes our child (prctl(2))


@dataclass(frozen=True)
class Victim:
    """What there is to be read, written, reached and left behind on this machine."""

    root: Path
    port: int
    name: str  # of a socket that has no file
    marker: str  # a word on the command line of what wants to stay

    @property
    def state(self) -> dict[str, str]:
        """All files, with what is in them."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def program(self, path: Path) -> str:
        """A program, with the names in it of what it attacks."""
        text = path.read_text(encoding="utf-8")
        for name, value in (
            ("COURSE", self.root / "course"),
            ("HOME", self.root / "home"),
            ("TOP", TESTS.parent),
            ("PORT", self.port),
            ("SOCKET", self.name),
            ("MARKER", self.marker),
        ):
            text = text.replace(f"@{name}@", str(value))
        assert not re.search("@[A-Z]+@", text)
        return text


@pytest.fixture
def victim(tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Victim]:
    """A course with a gradebook and a neighbour's work in it, a home, and servers that listen."""
    neighbour = tmp_path / "course/submitted/neighbour/02-bridge/bridge.ipynb"
    neighbour.parent.mkdir(parents=True)
    neighbour.write_bytes(solution.exercise(LAB).read_bytes())
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.profile").write_text("# mine")
    (tmp_path / "temporary").mkdir()
    with sqlite3.connect(tmp_path / "course/gradebook.db") as database:
        database.execute("CREATE TABLE grade (auto_score REAL)")
    database.close()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("PODPATH_TEST_SECRET", "the SECRET of the course")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as nameless:
        nameless.bind(f"\0{marker}")
        nameless.listen()
        for listening in (server, nameless):
            listening.setblocking(False)
        yield Victim(tmp_path, server.getsockname()[1], marker, marker)
        for listening in (server, nameless):
            with pytest.raises(BlockingIOError):
                listening.accept()  # nobody has come


@pytest.fixture
def nothing_left(
    processes: Callable[[str], object], marker: str, wait_until: Callable[..., object]
) -> Iterator[None]:
    """See that all that ran below us has ended, and that no mount is left."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1)
    before, mounts = _children(), _mounts()
    yield
    wait_until(lambda: _children() <= before, f"{_children() - before} outlive their grading")
    assert not processes(marker)
    assert _mounts() == mounts
    libc.prctl(_SUBREAPER, 0)


def _children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def _mounts() -> list[str]:
    return [line.split(" - ")[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def header(path: Path, key: str) -> str:
    found = re.search(rf"^(?:\"\"\")?{key}: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{path} does not say '{key}:'"
    return found[1].strip()


def test_there_are_many_and_each_says_what_it_tries() -> None:
    assert len(HOSTILE) >= 40
    assert all(header(path, "tries") for path in HOSTILE)


@pytest.mark.parametrize("paths", BATCHES, ids=lambda paths: paths[0].stem)
def test_each_earns_what_it_solved_and_harms_nobody(paths: list[Path], victim: Victim, nothing_left: None) -> None:
    hostile = {path: Order.of(LAB, 1, [Cell("your cell", victim.program(path))]) for path in paths}
    honest = Order.of(LAB, 2, solution.read(TESTS / "right/02/plain_dict.py", LAB))
    before, own = victim.state, _own_files()
    done = {one.key: outcome for one, outcome in fleet.on_this_machine([*hostile.values(), honest], 2)}
    for path, order in hostile.items():
        report = done[order.key].report
        assert report is not None, f"{path.stem}: {done[order.key].trouble}"
        assert report.points == int(header(path, "earns")), f"{path.stem}: {report}"
        reasons = [result.message for result in report.checks if not result.passed]
        assert any(header(path, "says") in reason for reason in reasons), f"{path.stem}: {report}"
        assert all(len(reason) < 3000 for reason in reasons)
    beside = done[honest.key].report
    assert beside is not None, done[honest.key].trouble
    assert beside.points == beside.max_points, str(beside)
    assert victim.state == before
    assert not list((victim.root / "temporary").iterdir())
    assert _own_files() == own


def _own_files() -> dict[str, int]:
    """Those of ours that a submission could wish to change."""
    folders = [TESTS.parent / name for name in ("grader", "podpath", "exercises")]
    files = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): path.stat().st_mtime_ns for path in files if os.path.isfile(path)}

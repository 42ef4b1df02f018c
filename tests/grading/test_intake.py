"""How submissions come in: nothing of the teacher's is read for a student, and no disk is filled."""

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import PyFileConfigLoader

from grader import intake
from grader.course import make_course
from grader.release import released
from grader.solution import exercise
from tests.grading.courses import ALL, ASSIGNMENT, LAB, NONE, Course, cell, code, nbgraders_own_warnings

pytestmark = nbgraders_own_warnings
BOMB = 101 << 20


# -- the exchange


@pytest.fixture
def collected(tmp_path: Path) -> Any:
    """Puts folders where students do, and collects them; the folder with what came in."""
    root = tmp_path / "course"
    make_course(root)
    inbound = tmp_path / "exchange/podpath/inbound"
    inbound.mkdir(parents=True)
    course = Course(root)
    course.generate()

    def collect(**submitted: Any) -> Path:
        for student, fill in submitted.items():
            folder = inbound / f"{student}+{ASSIGNMENT}+2026-11-02 10:00:00 UTC+x"
            fill(folder)
        config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
        config.CourseDirectory.root = str(root)
        config.Exchange.root = str(tmp_path / "exchange")
        config.ExchangeCollect.check_owner = False
        from nbgrader.apps.api import NbGraderAPI

        done = NbGraderAPI(config=config).collect(ASSIGNMENT)
        assert done["success"], done
        return root / "submitted"

    collect.course = course  # type: ignore[attr-defined]
    return collect


def test_links_are_collected_as_links_and_earn_nothing(collected: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the teacher's own")
    solution = tmp_path / "course/source" / ASSIGNMENT / "bridge.ipynb"

    def linked(folder: Path) -> None:
        folder.mkdir()
        (folder / "bridge.ipynb").symlink_to(solution)
        (folder / "data.txt").symlink_to(secret)
        (folder / "zero").symlink_to("/dev/zero")
        (folder / "all").symlink_to(tmp_path)
        os.mkfifo(folder / "pipe")
        (folder / "mine.txt").write_text("mine")

    def linked_as_a_whole(folder: Path) -> None:
        folder.symlink_to(solution.parent)

    submitted = collected(ann=linked, bob=linked_as_a_whole)
    there = submitted / "ann" / ASSIGNMENT
    assert not (submitted / "bob" / ASSIGNMENT).exists()
    assert {path.name for path in there.iterdir()} == {
        "bridge.ipynb",
        "data.txt",
        "zero",
        "all",
        "mine.txt",
        "timestamp.txt",
    } - (set() if (there / "timestamp.txt").exists() else {"timestamp.txt"})
    course = collected.course
    done = course.api.autograde(ASSIGNMENT, "ann")
    assert done["success"], done
    assert course.recorded("ann") == (NONE, False)
    graded = course.root / "autograded/ann" / ASSIGNMENT
    assert "is a link, and no file" in (graded / "bridge.ipynb").read_text()
    assert (graded / "mine.txt").read_text() == "mine"
    assert not any(secret.read_text() in path.read_text(errors="replace") for path in graded.iterdir())
    assert not (graded / "zero").exists()


def test_an_honest_submission_is_collected_with_all_its_files(collected: Any) -> None:
    def fill(folder: Path) -> None:
        (folder / "notes").mkdir(parents=True)
        (folder / "bridge.ipynb").write_text("{}")
        (folder / "notes" / "a.txt").write_text("a")

    there = collected(ann=fill) / "ann" / ASSIGNMENT
    assert {path.name for path in there.rglob("*.*")} >= {"bridge.ipynb", "a.txt"}


# -- archives


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("UP", ".."), content)
    return path


def test_an_archive_is_unpacked_with_the_archives_in_it(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", **{"bridge.ipynb": b"{}"}).read_bytes()
    intake.unpack(zipped(tmp_path / "all.zip", **{"ann__a.txt": b"a", "bob.zip": inner}), tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"ann/a.txt", "bob/bridge.ipynb"}


@pytest.mark.parametrize("bomb", ["large", "nested", "many", "lying"])
def test_a_bomb_is_not_unpacked_and_leaves_nothing(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    if bomb == "large":
        zipped(path, x=bytes(BOMB))
    elif bomb == "nested":
        inner = zipped(tmp_path / "inner.zip", x=bytes(BOMB // 2)).read_bytes()
        zipped(path, **{f"{number}.zip": inner for number in range(3)})
    elif bomb == "many":
        zipped(path, **{str(number): b"" for number in range(3000)})
    else:  # it says that it is small
        content = zipped(path, x=bytes(BOMB)).read_bytes()
        path.write_bytes(content.replace(BOMB.to_bytes(4, "little"), (5).to_bytes(4, "little")))
    assert path.stat().st_size < 1 << 20
    with pytest.raises((intake.TooMuch, zipfile.BadZipFile)):
        intake.unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_file_is_left_out_and_nothing_lands_outside(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("../../outside", "/absolute", "good"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    intake.unpack(path, tmp_path / "deep/out")
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"evil.tar.gz", "deep/out/outside", "deep/out/absolute", "deep/out/good"}
    zipped(tmp_path / "evil.zip", **{"UP__UP__outside": b"x"})
    intake.unpack(tmp_path / "evil.zip", tmp_path / "deep/zip")
    assert (tmp_path / "deep/zip/outside").exists()
    assert not (tmp_path / "outside").exists()


# -- notebooks that are too much


@pytest.mark.parametrize(
    ("name", "says"), [("large", "more than 20 MB"), ("parts", "more than 2,000,000 parts"), ("deep", "not JSON")]
)
def test_a_notebook_that_would_take_all_memory_is_refused_unread(name: str, says: str, course: Course) -> None:
    path = course.submit(f"much-{name}", b"")
    if name == "large":
        with path.open("wb") as file:
            file.truncate(500 << 20)  # of which the disk has nothing
    else:
        path.write_bytes(b"[" * 1_000_000 if name == "deep" else b'{"cells": [' + b"[]," * 2_000_000 + b"[]]}")
    done = course.api.autograde(ASSIGNMENT, f"much-{name}")
    path.unlink()
    assert done["success"], done
    assert course.recorded(f"much-{name}") == (NONE, False)
    graded = (course.root / f"autograded/much-{name}" / ASSIGNMENT / "bridge.ipynb").read_text()
    assert says in graded


# -- cells that are not what they seem


def _swap_names(notebook: dict[str, Any]) -> None:
    """The cell with the answer calls itself a test, and a test calls itself the answer."""
    answer, test = cell(notebook, "bridge"), cell(notebook, "moved")
    answer["metadata"], test["metadata"] = test["metadata"], answer["metadata"]
    test["source"] = "2.0"


def _own_tests(notebook: dict[str, Any]) -> None:
    """Adds test cells of its own, worth a billion, some with the names of ours."""
    for name in ("moved", "moved ", "Moved", "extra", "", "bridge"):
        marked = {
            "grade": True,
            "grade_id": name,
            "points": 1e9,
            "solution": False,
            "locked": False,
            "schema_version": 3,
        }
        notebook["cells"].insert(
            0, {**code("1e9"), "metadata": {"nbgrader": {**marked, "task": False, "cell_type": "code"}}}
        )


def _no_tests(notebook: dict[str, Any]) -> None:
    notebook["cells"] = [cell(notebook, "bridge")]


@pytest.mark.parametrize(
    ("trick", "earned"), [(_swap_names, NONE), (_own_tests, ALL), (_no_tests, ALL)], ids=["swap", "own", "none"]
)
def test_names_points_and_order_of_cells_win_nothing(trick: Any, earned: dict[str, float], course: Course) -> None:
    """Who names the answer as if it were a test of ours has handed in no answer; else the program counts as it is."""
    for student, notebook, scores in (("no", released(exercise(LAB)), NONE), ("yes", course.solved, earned)):
        trick(notebook)
        graded = course.grade(f"{trick.__name__}-{student}", notebook)
        assert graded.success, graded.log
        assert graded.scores == scores
        assert not graded.to_do

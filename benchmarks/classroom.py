"""How many submissions are graded in a minute, from the command line to the gradebook: `./lab grade` and stock nbgrader.

Both get the same submissions of lab 02, half of them wrong, and run on the same cores, one after the other. Stock nbgrader
runs them in kernels of its own, with `check` inside; its limit of 30 s a cell holds.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import monotonic

from comparison import Comparison, Target
from report import progress, write

warnings.simplefilter("ignore")  # what nbgrader's libraries have to say to each other
from grader.course import make_course  # noqa: E402
from grader.nbgrader_config import extend_path  # noqa: E402

TOP = Path(__file__).parent.parent
PROGRAMS = (
    *("right/02/plain_dict.py", "right/02/slots.py", "right/02/heap_tick.py", "right/02/ordered_dict_tick.py"),
    *(
        "wrong/02/hub.py",
        "wrong/02/decrements_ttl.py",
        "wrong/02/learns_broadcast_source.py",
        "wrong/02/never_ages.py",
    ),
)
ROUNDS, CLASS = 2, 300
FEW, MANY = 10, 100
ASSIGNMENT = "02-bridge"


def course(root: Path, stock: bool, programs: list[str]) -> Path:
    """A course in which as many students have handed in as there are programs."""
    make_course(root)
    if stock:
        (root / "nbgrader_config.py").write_text("")
    nbgrader(root, "generate_assignment", ASSIGNMENT)
    released = json.loads((root / "release" / ASSIGNMENT / "bridge.ipynb").read_text())
    (answer,) = (c for c in released["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == "bridge")
    for number, program in enumerate(programs):
        answer["source"] = program
        folder = root / "submitted" / f"student{number:03}" / ASSIGNMENT
        folder.mkdir(parents=True)
        (folder / "bridge.ipynb").write_text(json.dumps(released))
    return root


def nbgrader(root: Path, *arguments: str) -> None:
    subprocess.run(
        [Path(sys.executable).with_name("nbgrader"), *arguments], cwd=root, check=True, capture_output=True
    )


def rate(count: int, work: list[str | Path], root: Path) -> float:
    """Submissions per minute."""
    began = monotonic()
    done = subprocess.run(work, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return 60 * count / (monotonic() - began)


def lab_grade(root: Path) -> list[str | Path]:
    return [sys.executable, "-m", "grader.cli", "grade", "02", "--course", root]


def throughput(scratch: Path) -> list[Comparison]:
    programs = [(TOP / "tests" / name).read_text() for name in PROGRAMS] * 2  # each with a seed of its own
    ours, theirs = [], []
    autograde = [Path(sys.executable).with_name("nbgrader"), "autograde", ASSIGNMENT]
    for number in range(ROUNDS):
        progress(f"a class of {len(programs)}, round {number + 1} of {ROUNDS}: ./lab grade, then stock nbgrader")
        mine = course(scratch / f"ours{number}", False, programs)
        ours.append(rate(len(programs), lab_grade(mine), mine))
        stock = course(scratch / f"stock{number}", True, programs)
        theirs.append(rate(len(programs), autograde, stock))
    cores = f"on {len(os.sched_getaffinity(0))} cores"
    against = "nbgrader autograde, with its own Execute"
    yet = "Includes starting, which a class of hundreds pays once as well."
    return [
        Comparison(
            f"submissions a minute, end to end, {cores}", "./lab grade", against, "/min", ours, theirs,
            Target(4.0, "at least"), yet,
        ),
        Comparison(
            f"a class of {CLASS}, {cores}", "./lab grade", against, "s",
            [60 * CLASS / one for one in ours], [60 * CLASS / one for one in theirs], Target(600.0, of="ours"), yet,
        ),
    ]  # fmt: skip


def memory(scratch: Path) -> Comparison:
    """The most that any of its processes takes. No program can be read, and so none is run: this is the bookkeeping's."""
    peaks = []
    for count in (FEW, MANY):
        progress(f"memory for a class of {count}")
        root = course(scratch / f"memory{count}", False, [""] * count)
        for file in root.glob("submitted/*/*/*.ipynb"):
            file.write_text("{")
        peaks.append(_peak(lab_grade(root)))
    few, many = peaks
    return Comparison(
        f"peak memory of ./lab grade, {MANY} to {FEW} submissions", f"{MANY}", f"{FEW}", "MB", [many], [few], Target(1.2)
    )  # fmt: skip


def _peak(work: list[str | Path]) -> float:
    program = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
    program += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, work)], check=True, capture_output=True, text=True
    )
    return int(done.stdout) * 1024 / 1e6


if __name__ == "__main__":
    extend_path()
    with tempfile.TemporaryDirectory() as folder:
        write([*throughput(Path(folder)), memory(Path(folder))])

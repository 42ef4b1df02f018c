"""How long a learner waits for checks: all of lab 02 from the command line, and single ones in a notebook.

Runs as it is, without a sandbox of its own: `./lab check` makes one, and no check that is timed in the notebook needs
one. The targets are seconds. What stands beside them is what no program here can do without: starting Python and
importing what a notebook imports first.
"""

import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from comparison import Comparison, Target
from IPython.core.interactiveshell import InteractiveShell
from report import progress, write
from traitlets.config import Config

from grader import checks, solution
from grader.notebook import checker

TOP = Path(__file__).parent.parent
LAB = checks.find("02")
ROUNDS = 5
START = "import grader.notebook"


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def start_python() -> None:
    subprocess.run([sys.executable, "-c", START], check=True)


def check_all() -> None:
    """What a learner types; RuntimeError if the reference does not get all points, as its time then says nothing."""
    command = [str(TOP / "lab"), "check", LAB.number, str(solution.exercise(LAB)), "--json"]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE).stdout or "{}")
    if report.get("points") != sum(check.points for check in LAB.checks):
        raise RuntimeError(f"the reference solution does not pass all checks: {report or 'no report at all'}")


def command_line() -> Comparison:
    check_all()  # uncounted: `./lab` may have to set this machine up first
    ours, theirs = [], []
    for number in range(ROUNDS):
        theirs.append(seconds(start_python))
        ours.append(seconds(check_all))
        progress(f"checks-command: round {number + 1} of {ROUNDS}")
    what = f"./lab check {LAB.number}: all {len(LAB.checks)} checks, live ones too, on the reference"
    return Comparison(
        "checks-command", what, f"python -c '{START}'", "s", ours, theirs, Target(3.0, "at most", "ours")
    )


def notebook() -> Comparison:
    """The slowest check of those on the bench, each with a new seed every time, as in a notebook."""
    slugs = [one.slug for one in LAB.checks if not one.slug.startswith("live-")]
    taken: dict[str, list[float]] = {slug: [] for slug in slugs}
    theirs = []
    with _in_a_notebook() as check:
        for number in range(ROUNDS):
            theirs.append(seconds(start_python))
            for slug in slugs:
                taken[slug].append(seconds(lambda slug=slug: _passed(check, slug)))
            progress(f"checks-notebook: round {number + 1} of {ROUNDS}")
    slowest = max(slugs, key=lambda slug: statistics.median(taken[slug]))
    what = f'check("{slowest}") in a notebook, the slowest of {len(slugs)} on the bench'
    return Comparison(
        "checks-notebook", what, f"python -c '{START}'", "s", taken[slowest], theirs, Target(0.5, "at most", "ours")
    )


@contextlib.contextmanager
def _in_a_notebook() -> Iterator[Callable[[str], float]]:
    """`check`, in an IPython in which the reference has been run, as the notebook's cells do it."""
    without_history = Config({"HistoryManager": {"enabled": False}})
    with tempfile.TemporaryDirectory() as folder:  # IPython would make itself one in the user's home
        shell = InteractiveShell.instance(ipython_dir=folder, config=without_history)
        for cell in solution.read(solution.exercise(LAB), LAB):
            if f"class {LAB.class_name}" in cell.source:
                shell.run_cell(cell.source).raise_error()
        yield checker(LAB.full_name)


def _passed(check: Callable[[str], float], slug: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):  # where the notebook shows the result
        points = check(slug)
    if points != LAB.check(slug).points:
        raise RuntimeError(f"the reference solution does not pass {slug!r}: its time says nothing")


def main() -> None:
    write([command_line(), notebook()])


if __name__ == "__main__":
    sys.exit(main())

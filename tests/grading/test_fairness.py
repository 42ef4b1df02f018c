"""What a grade does not depend on: how busy the machine is, what the grader itself fails at, and how often it is given."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader import checks, fleet, solution
from grader.cache import as_line
from grader.check import Report, Result
from grader.jail import Cell
from grader.order import Order
from grader.overview import NoReports, Overview, alike
from grader.patience import Stopwatch, kept_waiting

TESTS = Path(__file__).parent.parent
LAB = checks.find("02")
ROUNDS = int(os.environ.get("PODPATH_ROUNDS", "2"))  # 200 before a release
SPIN = "while True: pass"


def order(name: str) -> Order:
    return Order.of(LAB, 7, solution.read(TESTS / name, LAB))


@pytest.fixture
def busy() -> Iterator[None]:
    """As many programs as this machine has cores, that keep them busy."""
    running = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


# The first is slow, at the limit of what is allowed; the second loses points on the way.
@pytest.mark.parametrize("name", ["right/02/list_scan.py", "wrong/02/learns_broadcast_source.py"])
def test_graded_again_and_again_on_a_busy_machine_it_gets_the_same_report(name: str, busy: None) -> None:
    told = set()
    for _, outcome in fleet.on_this_machine((order(name) for _ in range(ROUNDS)), jobs=2):
        assert outcome.report is not None, outcome.trouble
        told.add(as_line(outcome.report.as_json()))
    assert len(told) == 1
    (only,) = told
    assert json.loads(only)["points"] == (20 if name.startswith("right") else 19)


def test_a_stopwatch_does_not_run_while_the_program_is_kept_from_the_processor(
    wait_until: Callable[..., object],
) -> None:
    """Three programs on one core: each has a third of it."""
    core = min(os.sched_getaffinity(0))
    spin = f"import os\nos.sched_setaffinity(0, [{core}])\n{SPIN}"
    running = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(3)]
    try:
        watch, clock = Stopwatch(running[0].pid), Stopwatch(None)
        wait_until(lambda: clock.elapsed() > 2, "two seconds")
        assert watch.waited() > 0.2 * clock.elapsed()
        assert watch.elapsed() < 0.8 * clock.elapsed()
        assert clock.waited() == 0
    finally:
        for program in running:
            program.kill()
            program.wait()
    assert kept_waiting(running[0].pid) == 0  # it has ended


# -- what is our fault


def test_what_the_grader_fails_at_is_tried_again_and_then_for_a_human_and_never_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Networks that never come up: the `ip` on this PATH does nothing but fail."""
    (tmp_path / "ip").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    outcome = fleet.fulfil(order("right/02/plain_dict.py"))
    assert outcome.report is None
    assert f"the grader failed {fleet.ATTEMPTS} times" in outcome.trouble
    assert capfd.readouterr().err.count("Traceback") >= fleet.ATTEMPTS  # for who mends it


def weak_bubblewrap(folder: Path, drop: str) -> None:
    """A bubblewrap that forgets one of its options, and that option's value."""
    (folder / "bwrap").write_text(
        f"#!{sys.executable}\nimport os, sys\nwords = sys.argv[1:]\nplace = words.index({drop!r})\n"
        f"words[place:place + 2] = []\nos.execv({shutil.which('bwrap')!r}, ['bwrap', *words])\n"
    )
    (folder / "bwrap").chmod(0o755)


def test_where_a_wall_is_missing_nothing_is_graded_unless_one_insists_and_then_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak_bubblewrap(tmp_path, "--seccomp")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = [Cell("your cell", (TESTS / "right/02/plain_dict.py").read_text())]
    refused = fleet.fulfil(Order.of(LAB, 7, program))
    assert refused.report is None
    assert "this machine does not keep what the jail promises: no system calls are refused" in refused.trouble
    report = fleet.fulfil(Order.of(LAB, 7, program, open_jail=True)).report
    assert report is not None
    assert report.points == 20
    assert "processes can be started" in report.unprotected
    assert "MADE IN A JAIL THAT IS NONE" in str(report)
    assert Report.from_json(report.as_json()) == report
    assert Order.of(LAB, 7, program, open_jail=True).key != Order.of(LAB, 7, program).key


# -- what a class did not get


def test_the_same_mistake_told_with_other_numbers_is_one_message() -> None:
    said = "A frame from 0a:58:ff:02:02:02 at t-birch left by eth3, eth16 and not by eth5 after 300.5 s."
    again = "A frame from 0a:58:01:02:07:02 at t-elm left by eth9 and not by eth1 after 17 s."
    assert alike(said) == alike(again)
    assert alike(said) != alike("A frame was dropped.")


def test_a_class_is_shown_with_what_it_failed_most(tmp_path: Path) -> None:
    with pytest.raises(NoReports, match="lab grade comes first"):
        Overview.of(LAB, tmp_path)
    for student in range(4):
        results = [
            Result(c.name, c.step, 0, c.points, False, f"It was sent to eth{student}.\nThe rule: none", [])
            if number <= student
            else Result(c.name, c.step, c.points, c.points, True, "", [])
            for number, c in enumerate(LAB.checks)
        ]
        file = tmp_path / f"reports/student{student}/{LAB.full_name}/bridge.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"report": Report(LAB.full_name, 1, results).as_json()}))
    seen = Overview.of(LAB, tmp_path)
    assert list(seen.failures().values())[:5] == [4, 3, 2, 1, 0]
    assert seen.messages() == [("It was sent to ....", 4)]
    assert f"    4  {'#' * 20}  {LAB.checks[0].name}" in str(seen)
    seen.plot(tmp_path / "class.svg")
    assert LAB.checks[0].name[:30] in (tmp_path / "class.svg").read_text()
    with pytest.raises(ValueError, match="not supported"):
        seen.plot(tmp_path / "class.xyz")

"""One submission to one report.

`grade` may be called anywhere. It starts a sandbox, in it this module as a program, and in that the jail; what comes
back is a report. So live checks have a network to themselves, and the learner's code has nothing at all.
"""

import dataclasses
import json
import random
import subprocess
import sys
from collections.abc import Sequence

from grader import checks
from grader.check import Check, Lab, Report, Result, run
from grader.jail import Cell, Jail, NoJail
from grader.patience import Calm
from podpath import sandbox

SECONDS = 180.0  # for a whole submission; the jail ends much earlier whatever the learner's code does
_ATTEMPTS = 3  # at a check


class GraderFailed(RuntimeError):
    """The grader itself failed, not the learner's code: nobody may be scored for it. The text says how."""


def new_seed() -> int:
    """A seed nobody can foresee, short enough to be typed."""
    return random.SystemRandom().randrange(1, 1_000_000)


def grade(lab: Lab, cells: Sequence[Cell], seed: int, open_jail: bool = False) -> Report:
    """Run every check of a lab on a learner's program.

    Raises podpath.sandbox.NoSandbox where there can be none, NoJail where the jail is not what it promises to be (unless
    it is to be an `open_jail`; the report then says so), and GraderFailed where something else of ours went wrong.
    """
    plain = [dataclasses.astuple(cell) for cell in cells]
    order = {"lab": lab.full_name, "seed": seed, "cells": plain, "open_jail": open_jail}
    try:
        code, output = sandbox.run(
            [sys.executable, "-m", "grader.grade"], input=json.dumps(order).encode(), timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise GraderFailed(f"the checks were not through after {SECONDS:g} s") from None
    try:
        report = json.loads(output)
        if "no_jail" in report:
            raise NoJail(report["no_jail"])
        return Report.from_json(report)
    except (ValueError, KeyError, TypeError):
        raise GraderFailed(f"it ended with status {code} and without a report; what it said is above") from None


def refused(lab: Lab, seed: int, why: str) -> Report:
    """A report without points, for a submission that could not even be read."""
    return Report(lab.full_name, seed, [_failed(check, why) for check in lab.checks])


def grade_here(lab: Lab, cells: Sequence[Cell], seed: int, open_jail: bool = False) -> Report:
    """The same, in this sandbox."""
    if not any(cell.source.strip() for cell in cells):
        return refused(lab, seed, "there is no code in it")
    with Jail(cells, lab.class_name, privileged=lab.privileged, open_jail=open_jail) as jail:
        results = [fairly(lab, check, jail, seed) for check in lab.checks]
        return Report(lab.full_name, seed, results, tuple(jail.lacking))


def fairly(lab: Lab, check: Check, jail: Jail, seed: int) -> Result:
    """Run one check, and again if it failed while this machine was too busy for its own deadlines to mean anything.

    A failure is believed that was seen in peace, or so many times, at least twice in the same words. What did not return
    had its time by another clock, and is believed at once. Raises GraderFailed where nothing can be believed.
    """
    seen: dict[str, Result] = {}
    for _ in range(_ATTEMPTS):
        calm, waited, hung = Calm(), jail.kept_waiting, jail.hung
        result = run(lab, check, jail, seed)
        if result.passed or jail.hung > hung or not calm.was_disturbed(jail.kept_waiting - waited):
            return result
        if result.message in seen:
            again = seen[result.message]
        seen.setdefault(result.message, result)
    if len(seen) < _ATTEMPTS:
        return again
    raise GraderFailed(f"this machine is too busy: {check.slug!r} failed {_ATTEMPTS} times, each time in another way")


def _failed(check: Check, why: str) -> Result:
    return Result(check.name, check.step, 0, check.points, False, why, [])


def main() -> None:
    """Read an order on stdin, write the report on stdout."""
    try:
        order = json.load(sys.stdin)
    except ValueError:
        sys.exit("podpath: whoever ordered this report has gone")  # by Ctrl-C, say
    cells = [Cell(*fields) for fields in order["cells"]]
    try:
        report = grade_here(checks.find(order["lab"]), cells, order["seed"], order["open_jail"]).as_json()
    except NoJail as reason:
        report = {"no_jail": str(reason)}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()

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
from grader.jail import Cell, Jail
from podpath import sandbox

SECONDS = 180.0  # for a whole submission; the jail ends much earlier whatever the learner's code does


class GraderFailed(RuntimeError):
    """The grader itself failed, not the learner's code: nobody may be scored for it. The text says how."""


def new_seed() -> int:
    """A seed nobody can foresee, short enough to be typed."""
    return random.SystemRandom().randrange(1, 1_000_000)


def grade(lab: Lab, cells: Sequence[Cell], seed: int) -> Report:
    """Run every check of a lab on a learner's program.

    Raises podpath.sandbox.NoSandbox where there can be none, and GraderFailed where something of ours went wrong.
    """
    order = {"lab": lab.full_name, "seed": seed, "cells": [dataclasses.astuple(cell) for cell in cells]}
    try:
        code, output = sandbox.run(
            [sys.executable, "-m", "grader.grade"], input=json.dumps(order).encode(), timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise GraderFailed(f"the checks were not through after {SECONDS:g} s") from None
    try:
        return Report.from_json(json.loads(output))
    except (ValueError, KeyError, TypeError):
        raise GraderFailed(f"it ended with status {code} and without a report; what it said is above") from None


def refused(lab: Lab, seed: int, why: str) -> Report:
    """A report without points, for a submission that could not even be read."""
    return Report(lab.full_name, seed, [_failed(check, why) for check in lab.checks])


def grade_here(lab: Lab, cells: Sequence[Cell], seed: int) -> Report:
    """The same, in this sandbox."""
    if not any(cell.source.strip() for cell in cells):
        return refused(lab, seed, "there is no code in it")
    with Jail(cells, lab.class_name, privileged=lab.privileged) as jail:
        return Report(lab.full_name, seed, [run(lab, check, jail, seed) for check in lab.checks])


def _failed(check: Check, why: str) -> Result:
    return Result(check.name, check.step, 0, check.points, False, why, [])


def main() -> None:
    """Read an order on stdin, write the report on stdout."""
    order = json.load(sys.stdin)
    cells = [Cell(*fields) for fields in order["cells"]]
    report = grade_here(checks.find(order["lab"]), cells, order["seed"])
    json.dump(report.as_json(), sys.stdout)


if __name__ == "__main__":
    main()

"""Checks on the bench, for several seeds: without clusters, and as fast as can be.

A privileged lab's checks look into namespaces from outside, for which they must be root over them: these run in a
sandbox, in which this module is the program. They wait more than they work, so the seeds run side by side.
"""

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from grader import checks
from grader.check import Check, Lab, Result, run
from grader.jail import Cell, Jail
from podpath import sandbox

AT_MOST = 90  # seconds
FEW = 4  # seeds for one jail, which has processor time and memory for a grading, not for a hundred; or side by side


def bench_checks(lab: Lab) -> list[Check]:
    """The checks that are not live: all of a privileged lab."""
    return [check for step in lab.steps if not step.live for check in step.checks]


def results(lab: Lab, cells: Sequence[Cell], chosen: Sequence[Check], seeds: Iterable[int]) -> list[list[Result]]:
    """What comes of some checks, for each seed."""
    if len(asked := list(seeds)) > FEW:
        parts = [asked[at : at + FEW] for at in range(0, len(asked), FEW)]
        return [one for part in parts for one in results(lab, cells, chosen, part)]
    if not lab.privileged:
        return _in_one_jail(lab, cells, chosen, asked)
    order = {
        "lab": lab.full_name,
        "cells": [dataclasses.astuple(cell) for cell in cells],
        "checks": [check.slug for check in chosen],
        "seeds": asked,
    }
    code, output = sandbox.run([sys.executable, "-m", __name__], input=json.dumps(order).encode(), timeout=AT_MOST)
    assert code == 0, f"exit status {code}"
    return [[Result(**one) for one in some] for some in json.loads(output)]


def _in_one_jail(
    lab: Lab, cells: Sequence[Cell], chosen: Sequence[Check], seeds: Iterable[int]
) -> list[list[Result]]:
    with Jail(cells, lab.class_name, privileged=lab.privileged) as jail:
        return [[run(lab, check, jail, seed) for check in chosen] for seed in seeds]


def main() -> None:
    """Read an order on stdin, write the results on stdout."""
    order = json.load(sys.stdin)
    lab = checks.find(order["lab"])
    cells, chosen = [Cell(*fields) for fields in order["cells"]], [lab.check(slug) for slug in order["checks"]]
    with ThreadPoolExecutor(len(order["seeds"])) as threads:
        told = threads.map(lambda seed: _in_one_jail(lab, cells, chosen, [seed])[0], order["seeds"])
        json.dump([[dataclasses.asdict(one) for one in some] for some in told], sys.stdout)


if __name__ == "__main__":
    main()

"""Measures speed, as ratios of two things run side by side: `./lab bench [--json]`.

A table for people, or with --json one object: `machine`, `seconds`, `comparisons` (each with its rounds) and `missing`.
A missed target is said plainly and is no error; the exit status is 1 only if something could not be measured.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NoReturn

import report
from comparison import Comparison, Target, amount, number

from podpath import sandbox

HERE = Path(__file__).parent
BENCHMARKS = ("cluster", "live", "overlay", "service", "egress", "lookup", "checks", "classroom")
SANDBOXED = ("cluster", "live", "overlay", "service", "egress")  # the others bring their own
SECONDS = 1200.0  # for one benchmark, before it is given up
WIDTH = 118


def run(name: str) -> tuple[list[Comparison], list[str]]:
    """One benchmark, in a process of its own: what it measured, and what could not be measured."""
    argv = [sys.executable, str(HERE / f"{name}.py")]
    try:
        if name in SANDBOXED:
            code, output = sandbox.run(argv, timeout=SECONDS)
        else:
            code, output = _run_here(argv)
    except (subprocess.TimeoutExpired, sandbox.NoSandbox) as error:
        return [], [f"{name}: {error}"]
    return report.read(output) if code == 0 else ([], [f"{name}: it failed, and said why above"])


def _run_here(argv: list[str]) -> tuple[int, bytes]:
    """In a process group of its own, so that nothing it started outlives it."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as child:
        try:
            output, _ = child.communicate(timeout=SECONDS)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
        return child.returncode, output


def machine() -> str:
    """Where this was measured, and how busy it was with other things."""
    load = os.getloadavg()[0]
    busy = " (BUSY: ratios will scatter; repeat this when the machine is quiet)" if load > 1 else ""
    return (
        f"{len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, Python {platform.python_version()}, "
        f"load average {load:.1f} before we began{busy}"
    )


def table(found: list[Comparison]) -> str:
    """One line of numbers for each comparison, and below it what they are numbers of."""
    rows = [("", "ratio", "spread", "target", "")]
    rows += [(c.name, number(c.ratio), _spread(c), _target(c.target), _verdict(c)) for c in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_row(rows[0], widths)]
    for one, row in zip(found, rows[1:], strict=True):
        lines += ["", _row(row, widths)]
        beside = f"{one.what}: {amount(one.ours, one.unit)}; {one.against}: {amount(one.theirs, one.unit)}"
        lines += textwrap.wrap(beside, WIDTH, initial_indent="    ", subsequent_indent="    ")
        lines += textwrap.wrap(one.note, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers, verdict = (f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
    return "  ".join([name, *numbers, verdict]).rstrip()


def _spread(one: Comparison) -> str:
    return f"{number(min(one.ratios))} to {number(max(one.ratios))}"


def _target(target: Target | None) -> str:
    if target is None:
        return "-"
    return f"{target.bound} {number(target.limit)}{' s' if target.of == 'ours' else ''}"


def _verdict(one: Comparison) -> str:
    return {None: "", True: "met", False: "MISSED"}[one.met]


def main() -> int:
    parser = argparse.ArgumentParser(prog="./lab bench", description="measure speed, as ratios side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    parser.add_argument("--only", choices=BENCHMARKS, help="leave the others out")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    where, began = machine(), time.monotonic()
    found: list[Comparison] = []
    missing: list[str] = []
    for name in [arguments.only] if arguments.only else BENCHMARKS:
        measured, lacking = run(name)
        found += measured
        missing += lacking
    took = time.monotonic() - began
    if arguments.json:
        comparisons = [one.as_json() for one in found]
        print(
            json.dumps({"machine": where, "seconds": took, "comparisons": comparisons, "missing": missing}, indent=1)
        )
    else:
        print(f"{where}; took {took:.0f} s\nMedians over all rounds, and in brackets the least and the most.\n")
        print(table(found))
        print("".join(f"\nNOT MEASURED  {text}" for text in missing))
    return 1 if missing else 0


def _end(*_: object) -> NoReturn:
    """As after Ctrl-C: what was started is taken down on the way out."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

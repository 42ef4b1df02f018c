"""The learner's copies of the exercises: what a teacher would release, without the solutions.

They are made by nbgrader's own preprocessors, so a self-paced learner gets the same file as a student does.
"""

import warnings
from pathlib import Path
from typing import Any

import nbformat

from grader import checks
from grader.solution import exercise


def released(source: Path) -> Any:
    """The notebook at `source` as `nbgrader generate_assignment` would release it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nbgrader import preprocessors as stock
    notebook = nbformat.read(source, as_version=4)
    resources: dict[str, Any] = {}
    for step in (
        stock.LockCells,
        stock.ClearSolutions,
        stock.ClearOutput,
        stock.ClearHiddenTests,
        stock.ComputeChecksums,
    ):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


def copy_exercises(work: Path) -> list[Path]:
    """Put a copy of each exercise into the folder `work`; the new ones. One that is there is never touched."""
    made = []
    for lab in checks.labs():
        target = work / lab.full_name / f"{lab.name}.ipynb"
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        text = nbformat.writes(released(exercise(lab)))
        # "x" fails where a file has appeared meanwhile: whatever it is, it is not ours to replace.
        with target.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
        made.append(target)
    return made

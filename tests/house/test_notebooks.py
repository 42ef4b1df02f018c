"""Both notebooks of each lab, run from top to bottom in the kernel that JupyterLab uses."""

import copy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from grader import solution
from grader.checks import labs
from grader.release import released

from .test_style import TOP

AT_MOST = 120  # seconds: a cell that takes longer hangs


def executed(notebook: Any) -> Any:
    """The notebook with the outputs that its cells have given; a cell that raises fails the test."""
    notebook = copy.deepcopy(notebook)
    NotebookClient(notebook, kernel_name="podpath", timeout=AT_MOST).execute()
    return notebook


def said_on_stderr(notebook: Any) -> list[str]:
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return [out.text for out in outputs if out.get("name") == "stderr"]


@pytest.mark.parametrize("path", sorted(TOP.glob("notebooks/*.ipynb")), ids=lambda path: path.name)
def test_a_walkthrough_runs_top_to_bottom(path: Path) -> None:
    assert said_on_stderr(executed(nbformat.read(path, as_version=4))) == []


@pytest.mark.parametrize("lab", labs(), ids=lambda lab: lab.full_name)
def test_the_reference_earns_every_point_in_the_notebook(lab: Any) -> None:
    done = executed(nbformat.read(solution.exercise(lab), as_version=4))
    earned = {
        cell.metadata.nbgrader.grade_id: cell.outputs[-1].data["text/plain"]
        for cell in done.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    assert said_on_stderr(done) == []
    assert earned == {check.slug: str(float(check.points)) for check in lab.checks}


@pytest.mark.parametrize("lab", labs(), ids=lambda lab: lab.full_name)
def test_an_exercise_that_nobody_has_touched_runs_and_earns_nothing(lab: Any) -> None:
    """Its own cells meet `raise NotImplementedError()`; none of them may fail for it, or a learner is stuck."""
    done = executed(released(solution.exercise(lab)))
    graded = [cell for cell in done.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [cell.outputs[-1].data["text/plain"] for cell in graded] == ["0.0"] * len(lab.checks)
    assert said_on_stderr(done) == []

"""A course like a teacher's, in which submissions are graded."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from traitlets.config import PyFileConfigLoader

from grader import checks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from nbgrader.api import Gradebook
    from nbgrader.apps.api import NbGraderAPI

ASSIGNMENT, NOTEBOOK = "02-bridge", "bridge.ipynb"
LAB = checks.find(ASSIGNMENT)
ALL = {check.slug: float(check.points) for check in LAB.checks}
NONE = dict.fromkeys(ALL, 0.0)

# SQLAlchemy has remarks about the order in which nbgrader does things.
nbgraders_own_warnings = pytest.mark.filterwarnings("ignore:Object of type <Submitted:RuntimeWarning")


@dataclass(frozen=True)
class Graded:
    """What came of one submission. `scores` is what the gradebook has; None, and `to_do`, where nothing was graded."""

    success: bool
    log: str
    scores: dict[str, float | None]
    to_do: bool
    notebook: dict[str, Any]

    def outputs(self, slug: str) -> list[dict[str, Any]]:
        """What stands below the cell of a check."""
        (found,) = [c["outputs"] for c in self.notebook["cells"] if _name(c) == slug]
        return found

    def said(self, slug: str) -> str:
        """What the check says, as text."""
        return "".join(self.outputs(slug)[0]["data"]["text/plain"])


class Course:
    """A course directory, and nbgrader's own commands in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
        config.CourseDirectory.root = str(root)
        self.secret = str(config.GradeInJail.secret)
        self.api = NbGraderAPI(config=config)

    def generate(self, assignment: str = ASSIGNMENT) -> None:
        """nbgrader generate_assignment."""
        done = self.api.generate_assignment(assignment)
        assert done["success"], done

    @property
    def source(self) -> dict[str, Any]:
        """The exercise with the reference solution in it."""
        return _read(self.root / "source" / ASSIGNMENT / NOTEBOOK)

    @property
    def released(self) -> dict[str, Any]:
        """The exercise as students get it."""
        return _read(self.root / "release" / ASSIGNMENT / NOTEBOOK)

    @property
    def original(self) -> Any:
        """The same as nbformat reads it."""
        return nbformat.read(self.root / "release" / ASSIGNMENT / NOTEBOOK, as_version=4)

    def answered(self, program: str) -> dict[str, Any]:
        """The exercise with a program in its solution cell."""
        notebook = self.released
        cell(notebook, "bridge")["source"] = program
        return notebook

    @property
    def solved(self) -> dict[str, Any]:
        """The exercise with the reference solution, as a student would hand it in."""
        return self.answered("".join(cell(self.source, "bridge")["source"]))

    def submit(self, student: str, notebook: Any, assignment: str = ASSIGNMENT, name: str = NOTEBOOK) -> Path:
        """Put a submission where `nbgrader collect` would; text is written as it is, all else as JSON."""
        folder = self.root / "submitted" / student / assignment
        folder.mkdir(parents=True, exist_ok=True)
        text = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
        (folder / name).write_bytes(text)
        return folder / name

    def grade(self, student: str, notebook: Any, assignment: str = ASSIGNMENT, name: str = NOTEBOOK) -> Graded:
        """Submit it, and nbgrader autograde."""
        self.submit(student, notebook, assignment, name)
        done = self.api.autograde(assignment, student)
        file = self.root / "autograded" / student / assignment / name
        graded = _read(file) if file.exists() else {}
        log = done["log"] + done.get("error", "")
        return Graded(done["success"], log, *self.recorded(student, assignment), graded)

    def recorded(self, student: str, assignment: str = ASSIGNMENT) -> tuple[dict[str, float | None], bool]:
        """What the gradebook has of a student: the scores, and whether the teacher still has to look at it."""
        with Gradebook(self.api.coursedir.db_url) as gradebook:
            submission = gradebook.find_submission(assignment, student)
            scores = {grade.name: grade.auto_score for part in submission.notebooks for grade in part.grades}
            return scores, submission.needs_manual_grade

    def feedback(self, student: str) -> str:
        """nbgrader generate_feedback: the page."""
        done = self.api.generate_feedback(ASSIGNMENT, student)
        assert done["success"], done
        return (self.root / "feedback" / student / ASSIGNMENT / "bridge.html").read_text(encoding="utf-8")


def cell(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """The cell of that grade_id."""
    (found,) = [one for one in notebook["cells"] if _name(one) == name]
    return found


def code(source: str) -> dict[str, Any]:
    """A code cell that a student added."""
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def _name(one: dict[str, Any]) -> str | None:
    return one["metadata"].get("nbgrader", {}).get("grade_id")


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))

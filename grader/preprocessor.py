"""Our place inside nbgrader: what a student handed in is rebuilt from what was handed out, and graded in the jail.

nbgrader autogrades in two passes over the same file. In the first it makes the notebook sound again ("sanitizing"); in
the second it runs it and notes the points. Three classes stand in these passes, put there by `nbgrader_config.py`:

* `SubmissionExporter` lets files into the first pass that are no notebooks;
* `Rebuild`, the first step of the first pass, makes a new notebook out of the released one and the student's text;
* `GradeInJail`, in the second pass where nbgrader's `Execute` stands, writes down what the checks say.

Nothing that a submission holds makes them raise: it costs the student points. They raise where the teacher has to do
something, or the machine is at fault; nbgrader then leaves that submission ungraded, says so, and goes on.
"""

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import v4
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Unicode

from grader import checks, fleet, solution
from grader.cache import Reports
from grader.check import Lab, Report, Result
from grader.jail import Cell
from grader.notebook import as_html
from grader.order import Order

# What a submission may have at most. With more, a page that shows it in colour takes minutes or hours to make.
_CELLS, _CHARACTERS, _SPACES = 1000, 200_000, 1000
_TOLD = 20_000  # characters of what one check may tell
_NOTE = "podpath"  # the key of the rebuilt notebook's metadata under which we leave ourselves a note

Resources = dict[str, Any]


class ForTheTeacher(Exception):
    """This cannot be graded, and no student is to blame. The text says what to do."""


class SubmissionExporter(NotebookExporter):  # type: ignore[misc]  # nbconvert's classes are untyped to mypy
    """nbgrader's way of reading a file and writing the notebook, for files that may be anything at all."""

    def from_filename(self, filename: str, resources: Resources | None = None, **kw: Any) -> tuple[str, Resources]:
        """Where `Rebuild` comes next, nothing is read here: it does that itself, and believes less."""
        if not any(isinstance(step, Rebuild) for step in self._preprocessors):
            return super().from_filename(filename, resources=resources, **kw)  # type: ignore[no-any-return]
        path = Path(filename)
        resources = {**(resources or {}), "metadata": {"name": path.stem, "path": os.fspath(path.parent)}}
        return self.from_notebook_node(v4.new_notebook(), resources=resources, **kw)  # type: ignore[no-any-return]


# -- the first pass


class Rebuild(NbGraderPreprocessor):  # type: ignore[misc]
    """Makes the notebook anew: the released one, with the student's text in it."""

    def preprocess(self, nb: Any, resources: Resources) -> tuple[Any, Resources]:
        told = resources["nbgrader"]
        original = released(self.parent.parent.coursedir, told["assignment"], told["notebook"])
        file = Path(resources["metadata"]["path"]) / f"{resources['metadata']['name']}.ipynb"
        nb = rebuilt_file(original, file)
        if _refusal(nb):
            self.log.warning("%s gets no points: %s", file, _refusal(nb))
        return nb, resources


def released(course: Any, assignment: str, notebook: str) -> Any:
    """The notebook that students were given. `course` is nbgrader's CourseDirectory. Raises ForTheTeacher."""
    file = Path(course.format_path(course.release_directory, ".", assignment)) / f"{notebook}.ipynb"
    if not file.exists():
        raise ForTheTeacher(
            f"there is no {file}, from which submissions are rebuilt. It is what students were given; "
            f"nbgrader generate_assignment {assignment} --force makes it again"
        )
    return nbformat.read(file, as_version=4)


def rebuilt_file(original: Any, file: Path) -> Any:
    """The released notebook `original` with the text of a submission; with a note in it where that cannot be read."""
    try:
        return rebuilt(original, _submitted(file))
    except solution.Unreadable as error:
        nb = rebuilt(original, [])
        nb.metadata[_NOTE] = {"unreadable": str(error)}
        return nb


def _refusal(nb: Any) -> str:
    return str(nb.metadata.get(_NOTE, {}).get("unreadable", ""))


def _submitted(file: Path) -> list[dict[str, Any]]:
    """The cells of a file, as plain data of which nothing else is promised. Raises Unreadable."""
    if file.is_symlink():  # to the solution, or to another student's work
        raise solution.Unreadable(f"{file.name} is a link, and no file")
    cells = [cell for cell in solution.read_notebook(file)["cells"] if isinstance(cell, dict)]
    texts = [solution.source(cell) for cell in cells]
    if len(cells) > _CELLS:
        raise solution.Unreadable(f"{file.name} has more than {_CELLS:,} cells")
    if sum(map(len, texts)) > _CHARACTERS:
        raise solution.Unreadable(f"{file.name} has more than {_CHARACTERS:,} characters in its cells")
    if any(len(run) > _SPACES for text in texts for run in re.findall(r"\s+", text)):
        raise solution.Unreadable(f"{file.name} has more than {_SPACES:,} blanks or empty lines in a row")
    return cells


def rebuilt(original: Any, submitted: Sequence[dict[str, Any]]) -> Any:
    """The released notebook `original`, with the student's text in the solution cells and with the cells they added.

    The order is the student's, because programs depend on it. No metadata are taken, nor anything else but text.
    """
    ours = [_bare(cell, number) for number, cell in enumerate(original.cells)]
    cells: list[tuple[int | None, Any]] = []  # the new cells, and for those of ours, which they are
    for cell in submitted:
        text = solution.source(cell)
        number = _which(cell, text, ours, {number for number, _ in cells if number is not None})
        if number is None:
            if text.strip():
                cells.append((None, _added(cell, text, len(cells))))
        else:
            if utils.is_solution(ours[number]):
                _answer(ours[number], text)
            cells.append((number, ours[number]))
    _put_back(ours, cells)
    metadata = {key: original.metadata[key] for key in ("kernelspec",) if key in original.metadata}
    # As Python: to colour IPython's dialect of it can take the square of the time.
    metadata["language_info"] = {"name": "python"}
    return v4.new_notebook(cells=[cell for _, cell in cells], metadata=metadata)


def _put_back(ours: list[Any], cells: list[tuple[int | None, Any]]) -> None:
    """Put each cell of ours that the student deleted after the one that it followed.

    A solution cell comes back empty: with the text that it was released with, it would replace in the student's
    program what they wrote elsewhere.
    """
    for number, cell in enumerate(ours):
        order = [other for other, _ in cells]
        if number not in order:
            if utils.is_solution(cell):
                cell.source = ""
            cells.insert(order.index(number - 1) + 1 if number else 0, (number, cell))


def _bare(cell: Any, number: int) -> Any:
    """One of our cells, without outputs, and without metadata other than nbgrader's."""
    make = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}[cell.cell_type]
    metadata = {"nbgrader": cell.metadata["nbgrader"]} if "nbgrader" in cell.metadata else {}
    return make(cell.source, id=cell.get("id", f"ours-{number}"), metadata=metadata)


def _which(cell: dict[str, Any], text: str, ours: list[Any], taken: set[int]) -> int | None:
    """The number of the cell of ours that this one is: the one of its name, or else one of the same text."""
    free = [(number, one) for number, one in enumerate(ours) if number not in taken]
    name = _grade_id(cell)
    for number, one in free:
        if name is not None and _grade_id(one) == name:
            return number
    for number, one in free:
        if not utils.is_solution(one) and one.source.strip() == text.strip():
            return number
    return None


def _grade_id(cell: Any) -> str | None:
    """nbgrader's name of a cell, if it has a sound one."""
    value = cell
    for key in ("metadata", "nbgrader", "grade_id"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _answer(cell: Any, text: str) -> None:
    """Fill one of our cells in."""
    cell.source = text if cell.cell_type == "code" or text == cell.source else _literally(text)


def _added(cell: dict[str, Any], text: str, number: int) -> Any:
    """A cell of the student's own: code, or else text."""
    if cell.get("cell_type") == "code":
        return v4.new_code_cell(text, id=f"added-{number}")
    return v4.new_markdown_cell(_literally(text), id=f"added-{number}")


def _literally(text: str) -> str:
    """Markdown that shows the text as it is. Were it markup, a student's script would run in the teacher's browser.

    Long lines are broken: what nbconvert does to each takes the square of its length.
    """
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 3)
    text = re.sub("(.{1000})(?=.)", "\\1\n", text)
    return f"{fence}text\n{text}\n{fence}"


# -- the second pass


class GradeInJail(NbGraderPreprocessor):  # type: ignore[misc]
    """Runs the checks on the student's program in the jail, and writes each one's points below its cell."""

    secret = Unicode(help="Makes the seeds of the checks unforeseeable. Another secret means other seeds.").tag(
        config=True
    )
    open_jail = Bool(
        help="Grade even where this machine cannot do all that the jail promises. Such reports say so."
    ).tag(config=True)

    def preprocess(self, nb: Any, resources: Resources) -> tuple[Any, Resources]:
        told = resources["nbgrader"]
        graded = [cell for cell in nb.cells if utils.is_grade(cell) and not utils.is_solution(cell)]
        if not graded:
            return nb, resources  # a page to read
        lab = lab_of(told["assignment"], told["notebook"])
        cells = {_grade_id(cell): cell for cell in graded}
        for name in set(cells) - {check.slug for check in lab.checks}:
            raise ForTheTeacher(f"the cell {name!r} has points, but lab {lab.full_name} has no check of that name")
        report = self._report(lab, order_for(lab, nb, seed_for(self.secret, told["student"], lab), self.open_jail))
        for check, result in zip(lab.checks, report.checks, strict=True):
            if check.slug in cells:
                _write(cells[check.slug], result)
        return nb, resources

    def _report(self, lab: Lab, order: Order) -> Report:
        """The report on an order: one that has been made, by `./lab grade` for instance, or else a new one."""
        reports = Reports(reports_of(self.parent.parent.coursedir))
        report = reports.get(order)
        if report is None:
            outcome = fleet.fulfil(order)
            if outcome.report is None:
                raise ForTheTeacher(outcome.trouble)
            report = outcome.report
            reports.put(order, report)
        return report


def reports_of(course: Any) -> Path:
    """Where a course keeps the reports that have been made. `course` is nbgrader's CourseDirectory."""
    return Path(course.root) / ".podpath" / "reports"


def order_for(lab: Lab, nb: Any, seed: int, open_jail: bool = False) -> Order:
    """What is to be done for a rebuilt notebook."""
    refusal = _refusal(nb)
    return Order.of(lab, seed, [] if refusal else learners_cells(nb, lab), refusal, open_jail)


def lab_of(assignment: str, notebook: str) -> Lab:
    """The lab that a notebook is of: by its own name, or else by that of the assignment. Raises ForTheTeacher."""
    for name in (notebook, assignment):
        with suppress(KeyError):
            return checks.find(name)
    raise ForTheTeacher(
        f"{assignment}/{notebook}.ipynb is no lab of podpath; there are "
        f"{', '.join(f'{lab.full_name}/{lab.name}.ipynb' for lab in checks.labs())}. Other notebooks need a course "
        "directory of their own, where nbgrader runs them itself"
    )


def seed_for(secret: str, student: str, lab: Lab) -> int:
    """The student's seed for a lab: always the same, so that grading again changes nothing."""
    digest = hashlib.sha256("\n".join([secret, student, lab.full_name]).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest) % 999_999 + 1


def learners_cells(nb: Any, lab: Lab) -> list[Cell]:
    """The student's program in a rebuilt notebook, whose metadata can be believed: what is locked is not theirs."""
    plain = [
        {"cell_type": cell.cell_type, "source": "" if utils.is_locked(cell) else cell.source} for cell in nb.cells
    ]
    return solution.from_notebook({"cells": plain}, lab)


def _write(cell: Any, result: Result) -> None:
    """What the check says, then the one output that decides: a number, the points."""
    told = dataclasses.replace(
        result,
        message=_cut(result.message),
        transcript=_cut("\n".join(result.transcript)).split("\n"),
    )
    # The teacher may have given the cell other points than ours.
    points = float(cell.metadata.nbgrader["points"]) * result.points / result.max_points
    cell.outputs = [
        v4.new_output("display_data", {"text/html": as_html(told), "text/plain": str(told)}),
        v4.new_output("execute_result", {"text/plain": repr(points)}),
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}\n(and so on: {len(text)} characters)"

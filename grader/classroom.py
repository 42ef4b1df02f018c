"""A whole class at once: what `./lab grade` does.

First the reports that are missing are made, many at a time. Then nbgrader records them, one student after another. What
has been done is read from what is there (the reports, the gradebook, what nbgrader left in `autograded/`), not from a
list of our own; so this may be stopped at any moment, and goes on from there when it is started again.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbgrader.apps import NbGrader
from nbgrader.apps.api import NbGraderAPI

from grader import gradebook, preprocessor
from grader.cache import Reports, as_line, write_whole
from grader.check import Lab, Report
from grader.fleet import Outcome
from grader.order import Order

Fulfil = Callable[[Iterable[Order]], Iterator[tuple[Order, Outcome]]]
Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


class CannotGrade(RuntimeError):
    """There is nothing to grade here, or nobody may now; the text says what to do."""


@dataclass(frozen=True)
class Submission:
    """What a student handed in, for one lab."""

    student: str
    assignment: str
    notebook: str
    lab: Lab
    file: Path


@dataclass
class Summary:
    """What came of a class: students by what happened to them; those for a human each with a reason."""

    graded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    for_a_human: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{len(self.graded)} graded, {len(self.unchanged)} unchanged, "
            f"{len(self.for_a_human)} in need of a human's eye"
        ]
        return "\n".join([*lines, *(f"  {student}: {why}" for student, why in sorted(self.for_a_human.items()))])


class Classroom:
    """A course directory, with nbgrader's configuration of it. Raises CannotGrade if it is none."""

    def __init__(self, root: Path, open_jail: bool = False) -> None:
        if not (root / "nbgrader_config.py").exists():
            raise CannotGrade(
                f"{root} is no course of nbgrader: it has no nbgrader_config.py (./lab course makes one)"
            )
        app = NbGrader()
        with contextlib.chdir(root):
            app.load_config_file()
        app.config.CourseDirectory.root = str(root)
        app.config.GradeInJail.open_jail = open_jail or bool(app.config.GradeInJail.get("open_jail"))
        self.root, self.api = root, NbGraderAPI(config=app.config)
        self._open_jail = app.config.GradeInJail.open_jail
        self._secret = str(app.config.GradeInJail.get("secret", ""))
        self.reports = Reports(preprocessor.reports_of(self.api.coursedir))
        self._released: dict[tuple[str, str], Any] = {}

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else grades in this course. Raises CannotGrade if somebody does."""
        folder = self.root / ".podpath"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel gives it back whatever becomes of us
            except BlockingIOError:
                raise CannotGrade("another ./lab grade is at work in this course; wait for it, or stop it") from None
            self.reports.tidy()
            for unfinished in self.root.glob("reports/*/*/.*.unfinished"):
                unfinished.unlink(missing_ok=True)
            yield

    def submissions(self, assignment: str, students: Iterable[str] = ()) -> tuple[list[Submission], dict[str, str]]:
        """What was handed in, and by whom nothing that can be graded, with the reason."""
        course, found, missing = self.api.coursedir, [], {}
        labs = self._labs(assignment)
        for student in sorted(set(students) or self._students(assignment)):
            folder = Path(course.format_path(course.submitted_directory, student, assignment))
            for notebook, lab in labs.items():
                if os.path.lexists(file := folder / f"{notebook}.ipynb"):
                    found.append(Submission(student, assignment, notebook, lab, file))
                elif folder.is_dir():
                    others = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing at all"
                    missing[student] = f"there is no {notebook}.ipynb in {folder}; there is {others}"
                else:
                    missing[student] = "nothing was handed in"
        return found, missing

    def _students(self, assignment: str) -> set[str]:
        course = self.api.coursedir
        pattern = Path(course.format_path(course.submitted_directory, "*", assignment))
        return {path.parent.name for path in self.root.glob(str(pattern.relative_to(self.root)))}

    def _labs(self, assignment: str) -> dict[str, Lab]:
        """The notebooks of an assignment that are labs. Raises CannotGrade if there is none."""
        course = self.api.coursedir
        folder = Path(course.format_path(course.release_directory, ".", assignment))
        found = {}
        for file in sorted(folder.glob("*.ipynb")):
            with contextlib.suppress(preprocessor.ForTheTeacher):
                found[file.stem] = preprocessor.lab_of(assignment, file.stem)
        if not found:
            raise CannotGrade(
                f"there is no lab in {folder}. What is graded is what was released: "
                f"nbgrader generate_assignment {assignment} comes first"
            )
        return found

    def order(self, submission: Submission) -> Order:
        """What is to be done for a submission: the same that nbgrader's pass will ask for."""
        name = submission.assignment, submission.notebook
        if name not in self._released:
            self._released[name] = preprocessor.released(self.api.coursedir, *name)
        nb = preprocessor.rebuilt_file(self._released[name], submission.file)
        seed = preprocessor.seed_for(self._secret, submission.student, submission.lab)
        return preprocessor.order_for(submission.lab, nb, seed, self._open_jail)

    # -- what nbgrader has recorded

    def _note(self, submission: Submission) -> Path:
        return self.root / "reports" / submission.student / submission.assignment / f"{submission.notebook}.json"

    def _told(self, submission: Submission, order: Order, report: Report, scores: gradebook.Scores) -> str:
        """The note on a record: the report, and all else that the record depends on."""
        course = self.api.coursedir
        released = Path(course.format_path(course.release_directory, ".", submission.assignment))
        master = (released / f"{submission.notebook}.ipynb").read_bytes()
        handed_in = course.get_existing_timestamp(str(submission.file.parent))
        return as_line(
            {
                "student": submission.student,
                "submitted": str(handed_in or ""),
                "released": hashlib.sha256(master).hexdigest(),
                "order": order.key,
                "gradebook": dict(sorted(scores.get((submission.student, submission.notebook), {}).items())),
                "report": report.as_json(),
            }
        )

    def is_recorded(self, submission: Submission, order: Order, report: Report, scores: gradebook.Scores) -> bool:
        """Whether the gradebook, and the notebook for feedback, hold exactly this report."""
        course = self.api.coursedir
        folder = Path(course.format_path(course.autograded_directory, submission.student, submission.assignment))
        try:
            noted = self._note(submission).read_text(encoding="utf-8")
        except OSError:
            return False
        there = (folder / f"{submission.notebook}.ipynb").exists()
        return there and noted == self._told(submission, order, report, scores)

    def record(self, submission: Submission, order: Order, report: Report) -> gradebook.Recorded:
        """Have nbgrader record a report that is there, and note what the gradebook has then."""
        done = gradebook.record(self.api, submission.assignment, submission.student)
        if done.success:
            scores = gradebook.recorded_scores(self.api, submission.assignment, submission.student)
            write_whole(self._note(submission), self._told(submission, order, report, scores))
        return done


def grade_class(
    classroom: Classroom, assignment: str, fulfil: Fulfil, progress: Progress, students: Iterable[str] = ()
) -> Summary:
    """Grade all that was handed in for an assignment, and have it recorded. Raises CannotGrade."""
    with classroom.alone():
        found, missing = classroom.submissions(assignment, students)
        if not found and not missing:
            raise CannotGrade(f"nobody has handed in anything for {assignment} yet (nbgrader collect comes first)")
        summary = Summary(for_a_human=missing)
        _make_reports(classroom, found, fulfil, progress, summary)
        _record(classroom, found, progress, summary)
    return summary


def _make_reports(
    classroom: Classroom, found: list[Submission], fulfil: Fulfil, progress: Progress, summary: Summary
) -> None:
    asked: dict[str, list[Submission]] = {}  # by key of the order; two students may well hand in the same
    count = 0

    def missing() -> Iterator[Order]:
        nonlocal count
        for submission in found:
            order = classroom.order(submission)
            if classroom.reports.get(order) is not None:
                count += 1
                progress("reports", count, len(found))
                continue
            asked.setdefault(order.key, []).append(submission)
            if len(asked[order.key]) == 1:
                yield order

    for order, outcome in fulfil(missing()):
        waiting = asked[order.key]
        if outcome.report is not None:
            classroom.reports.put(order, outcome.report)
        for submission in waiting:
            if outcome.report is None:
                summary.for_a_human[submission.student] = outcome.trouble
            count += 1
            progress("reports", count, len(found))


def _record(classroom: Classroom, found: list[Submission], progress: Progress, summary: Summary) -> None:
    scores = gradebook.recorded_scores(classroom.api, found[0].assignment) if found else {}
    for count, submission in enumerate(found, start=1):
        order = classroom.order(submission)
        report = classroom.reports.get(order)
        if report is not None and submission.student not in summary.for_a_human:
            if classroom.is_recorded(submission, order, report, scores):
                summary.unchanged.append(submission.student)
            else:
                done = classroom.record(submission, order, report)
                if done.success:
                    summary.graded.append(submission.student)
                else:
                    summary.for_a_human[submission.student] = f"nbgrader did not record it:\n{done.log.strip()}"
        progress("gradebook", count, len(found))

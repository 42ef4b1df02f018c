"""nbgrader's own pass over submissions, one student at a time, and each as one change of the gradebook.

nbgrader commits some forty times while it records one submission. Were it stopped in between, the gradebook would show a
sum of some of the points. So while it records, its commits are held back (SQLite only), and made together at the end:
whoever reads the gradebook meanwhile, or after a crash, sees the student as before, or as after, and nothing in between.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader.api import BaseCell, Grade, Gradebook, Notebook, SubmittedAssignment, SubmittedNotebook
from nbgrader.apps.api import NbGraderAPI
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_SCHEME, _HELD = "sqlite:///", "sqlite+podpath:///"
_PATIENCE = 60.0  # seconds to wait for somebody else who writes

Scores = dict[tuple[str, str], dict[str, float | None]]  # by student and notebook: by cell, what the grader gave


@dataclass(frozen=True)
class Recorded:
    """Whether nbgrader recorded a submission, and what it said meanwhile."""

    success: bool
    log: str


class _Held(SQLiteDialect_pysqlite):  # type: ignore[misc]  # untyped, as far as mypy is told
    """SQLite on one connection for all who connect, whose transaction ends only when `holding` ends it."""

    supports_statement_cache = True
    connection: "sqlite3.Connection | None" = None

    def connect(self, *_: Any, **__: Any) -> Any:
        assert type(self).connection is not None, "the gradebook is open inside `holding` only"
        return type(self).connection

    def do_begin(self, dbapi_connection: Any) -> None:
        pass

    def do_commit(self, dbapi_connection: Any) -> None:
        pass

    def do_rollback(self, dbapi_connection: Any) -> None:
        pass

    def do_close(self, dbapi_connection: Any) -> None:
        pass


registry.register("sqlite.podpath", __name__, "_Held")


@contextlib.contextmanager
def holding(api: NbGraderAPI) -> Iterator[None]:
    """Make what happens to the gradebook in the body one change, or none if the body raises."""
    url = api.coursedir.db_url
    if not url.startswith(_SCHEME):  # some other database: each commit of nbgrader's counts at once
        yield
        return
    path = Path(api.coursedir.root) / url.removeprefix(_SCHEME)
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        _Held.connection = connection
        api.coursedir.db_url = f"{_HELD}{path}"
        yield
        connection.execute("COMMIT")
    finally:
        api.coursedir.db_url = url
        _Held.connection = None
        connection.close()  # undoes what was not committed


def record(api: NbGraderAPI, assignment: str, student: str) -> Recorded:
    """`nbgrader autograde --force`, for one student."""
    try:
        with holding(api):
            done = api.autograde(assignment, student)
            if not done["success"]:
                raise _Undo(str(done.get("log", "")) + str(done.get("error", "")))
            return Recorded(True, str(done["log"]))
    except _Undo as failed:
        return Recorded(False, str(failed))


class _Undo(Exception):
    """Carries what nbgrader said out of the transaction."""


def recorded_scores(api: NbGraderAPI, assignment: str, student: str | None = None) -> Scores:
    """What the gradebook has of a student, or of all, as given by the grader (not by hand)."""
    found: Scores = {}
    with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
        rows = (
            gradebook.db.query(SubmittedAssignment.student_id, Notebook.name, BaseCell.name, Grade.auto_score)
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
            .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .join(BaseCell, BaseCell.id == Grade.cell_id)
            .filter(SubmittedAssignment.assignment.has(name=assignment))
        )
        if student is not None:
            rows = rows.filter(SubmittedAssignment.student_id == student)
        for whose, notebook, cell, score in rows:
            found.setdefault((whose, notebook), {})[cell] = score
    return found

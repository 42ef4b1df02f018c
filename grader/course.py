"""A course directory for nbgrader: the teacher's side, with every lab in it as an assignment.

It can be brought up to date when podpath is. What we made and nobody has changed since is replaced; what the teacher has
changed stays. To tell them apart, a list of what we made is kept in `.podpath/made.json`.
"""

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

from grader import checks
from grader.cache import write_whole
from grader.nbgrader_config import extend_path
from grader.solution import exercise

CONFIGURATION = """\
# nbgrader's configuration for this course. What else can be set here:
# https://nbgrader.readthedocs.io/en/stable/configuration/config_options.html
from grader.nbgrader_config import configure

c = get_config()
c.CourseDirectory.course_id = "podpath"
c.IncludeHeaderFooter.header = "source/header.ipynb"

# What late submissions lose is yours to say:
# https://nbgrader.readthedocs.io/en/stable/plugins/late-plugin.html
# c.AssignLatePenalties.plugin_class = "..."

# Where students fetch from and submit to, if not by way of a learning platform. All of them must be able to write there.
# c.Exchange.root = "/usr/local/share/nbgrader/exchange"

# With a learning platform (nbgrader zip_collect): how it names what it lets you download. This is how Moodle does.
# c.FileNameCollectorPlugin.named_regexp = r".*/(?P<student_id>[^/_]+)_\\d+_assignsubmission_file_?/(?P<file_id>[^/]+)"

# Submissions are graded by podpath's checks, in its jail. The secret keeps students from foreseeing the checks' random
# inputs; with another one, grading again would test with other inputs.
configure(c, secret="{secret}")
"""


HEADER = """\
*This is an exercise of a course. Write into the cells that say so, and save before you submit. Run the checks as often
as you like: what they say here is what you will be told. What counts is the course's own run, with other random inputs.*
"""


@dataclass(frozen=True)
class Laid:
    """What came of laying out a course: files that were made, brought up to date, and kept as the teacher has them."""

    made: list[Path]
    updated: list[Path]
    kept: list[Path]


def make_course(directory: Path) -> list[Path]:
    """Lay out a course directory, and return the files that were made or brought up to date."""
    laid = lay_out(directory)
    return laid.made + laid.updated


def lay_out(directory: Path) -> Laid:
    """Lay out a course directory, or bring one up to date. What the teacher has changed, or removed, is left as it is."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # the solutions and the grades are no one else's
    register = directory / ".podpath/made.json"
    known: dict[str, str] = json.loads(register.read_text()) if register.exists() else {}
    laid = Laid([], [], [])
    for target, content in _files(directory):
        name, ours, before = (
            str(target.relative_to(directory)),
            _digest(content),
            known.get(str(target.relative_to(directory))),
        )
        if not target.exists():
            if before is None:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, content.decode())
                laid.made.append(target)
            known.setdefault(name, ours)
        elif (found := _digest(target.read_bytes())) == ours:
            known[name] = ours
        elif found == before:
            write_whole(target, content.decode())
            known[name] = ours
            laid.updated.append(target)
        else:
            laid.kept.append(target)
    write_whole(register, json.dumps(known, indent=1) + "\n")
    configuration = directory / "nbgrader_config.py"
    if not configuration.exists():
        write_whole(configuration, CONFIGURATION.format(secret=secrets.token_hex(16)))
        laid.made.append(configuration)
    laid.made.extend(_gradebook(directory / "gradebook.db"))
    return laid


def _files(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """What we put into a course, with what is in it."""
    for lab in checks.labs():
        for file in sorted(exercise(lab).parent.iterdir()):
            if file.is_file():
                yield directory / "source" / lab.full_name / file.name, file.read_bytes()
    header = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(HEADER, id="header")])
    yield directory / "source" / "header.ipynb", (nbformat.writes(header) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _gradebook(path: Path) -> list[Path]:
    """Make the gradebook, before several of nbgrader's commands want to at once, at which most of them would fail.

    It is made under another name first: if nbgrader fails half-way (it calls `alembic`, which must be on PATH), what
    it leaves behind is not taken for a gradebook.
    """
    if path.exists():
        return []
    extend_path()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nbgrader.api import Gradebook
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    Gradebook(f"sqlite:///{unfinished.absolute()}").close()
    os.rename(unfinished, path)
    return [path]

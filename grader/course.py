"""A course directory for nbgrader: the teacher's side, with every lab in it as an assignment."""

import os
import secrets
import warnings
from pathlib import Path

from grader.checks import LABS
from grader.nbgrader_config import extend_path
from grader.solution import exercise

CONFIGURATION = """\
# nbgrader's configuration for this course. What else can be set here:
# https://nbgrader.readthedocs.io/en/stable/configuration/config_options.html
from grader.nbgrader_config import configure

c = get_config()
c.CourseDirectory.course_id = "podpath"

# Submissions are graded by podpath's checks, in its jail. The secret keeps students from foreseeing the checks' random
# inputs; with another one, grading again would test with other inputs.
configure(c, secret="{secret}")
"""


def make_course(directory: Path) -> list[Path]:
    """Lay out a course directory, and return the files that were made. What is there already is never touched."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # the solutions and the grades are no one else's
    made = [target for lab in LABS for target in _copy(exercise(lab).parent, directory / "source" / lab.full_name)]
    configuration = directory / "nbgrader_config.py"
    if _write(configuration, CONFIGURATION.format(secret=secrets.token_hex(16)).encode()):
        made.append(configuration)
    return made + _gradebook(directory / "gradebook.db")


def _copy(source: Path, target: Path) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    files = [file for file in sorted(source.iterdir()) if file.is_file()]
    return [target / file.name for file in files if _write(target / file.name, file.read_bytes())]


def _write(target: Path, content: bytes) -> bool:
    """Write a file that is not there yet; whether that was so."""
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


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

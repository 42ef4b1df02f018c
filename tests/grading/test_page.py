"""The teachers' page, tried from top to bottom, as it stands in docs/teaching.md."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.grading.courses import ALL, ASSIGNMENT, NOTEBOOK, Course, cell, nbgraders_own_warnings

pytestmark = nbgraders_own_warnings
TOP = Path(__file__).parent.parent.parent
PAGE = TOP / "docs/teaching.md"


def blocks() -> list[str]:
    """The page's shell commands, block by block."""
    found: list[str] = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return found


def run(script: str, home: Path) -> str:
    """Run commands as a teacher would, in the course if there is one already; what they say."""
    lab = f"{sys.executable} -m grader.cli"
    for word in ("$PODPATH/lab", "./lab"):
        script = script.replace(word, lab)
    activate, place = f". {Path(sys.executable).parent / 'activate'}", home / "netcourse"
    script = script.replace(". $PODPATH/.venv/bin/activate\n", f"{activate}\n")
    environment = {**os.environ, "HOME": str(home), "USER": "ann", "LOGNAME": "ann"}
    done = subprocess.run(
        ["sh", "-eu", "-c", f"{activate}\n{script}"],
        cwd=place if place.exists() else TOP,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_page_holds_what_it_says(tmp_path: Path) -> None:
    (tmp_path / ".jupyter").mkdir()
    exchange = tmp_path / "exchange"
    exchange.mkdir(mode=0o777)
    exchange.chmod(0o777)
    settings = f"c.Exchange.root = {str(exchange)!r}\nc.ExchangeSubmit.strict = False\n"
    (tmp_path / ".jupyter/nbgrader_config.py").write_text(settings)
    once, shell, hand_out, student, grade, give_back, lecture = blocks()

    run(once, tmp_path)
    run(shell, tmp_path)
    course = Course(tmp_path / "netcourse")
    assert "nbgrader release_assignment" in hand_out
    run(hand_out, tmp_path)

    fetch, submit = student.splitlines()
    run(fetch, tmp_path)
    mine = course.root / ASSIGNMENT / NOTEBOOK
    notebook = json.loads(mine.read_text())
    assert "exercise of a course" in "".join(notebook["cells"][0]["source"])  # the header
    cell(notebook, "bridge")["source"] = "".join(cell(course.source, "bridge")["source"])
    mine.write_text(json.dumps(notebook))
    run(submit, tmp_path)

    said = run(grade, tmp_path)
    assert "1 graded, 0 unchanged, 0 in need of a human's eye" in said
    (who,) = (path.name for path in (course.root / "submitted").iterdir())
    assert course.recorded(who) == (ALL, False)
    run(give_back, tmp_path)
    assert f"02-bridge,,,{who}" not in (course.root / "grades.csv").read_text()
    assert "20.0" in (course.root / "grades.csv").read_text()
    assert list(exchange.rglob("*.html"))  # the feedback, where the student fetches it
    assert "1 reports, 20 points at most, 20.0 on average" in run(lecture, tmp_path)
    assert (course.root / "class.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_and_the_readme_name_no_file_that_is_not_there() -> None:
    for page in (PAGE, TOP / "docs/security.md", TOP / "README.md"):
        for link in re.findall(r"\]\(([\w./-]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for path in re.findall(r"`((?:grader|tests|docs)/[\w./]+)`", page.read_text(encoding="utf-8")):
            assert (TOP / path).exists(), f"{page.name}: {path}"

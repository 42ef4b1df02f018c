"""The teachers' page, tried from top to bottom, as it stands in docs/teaching.md."""

import contextlib
import csv
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.grading.courses import ALL, ASSIGNMENT, NONE, NOTEBOOK, Course, cell, nbgraders_own_warnings

pytestmark = nbgraders_own_warnings
TOP = Path(__file__).parent.parent.parent
PAGE = TOP / "docs/teaching.md"
ACTIVATE = f". {Path(sys.executable).parent / 'activate'}"


def blocks() -> list[str]:
    """The page's shell commands, block by block."""
    found: list[str] = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return found


def environment(home: Path) -> dict[str, str]:
    """A teacher's, but for one module that takes longer to import than nbgrader, and is not needed by jsonschema."""
    (home / "quick").mkdir(exist_ok=True)
    (home / "quick/rfc3987_syntax.py").write_text("raise ImportError")
    return {**os.environ, "HOME": str(home), "USER": "ann", "LOGNAME": "ann", "PYTHONPATH": str(home / "quick")}


def run(script: str, home: Path) -> str:
    """Run commands as a teacher would, in the course if there is one already; what they say."""
    lab = f"{sys.executable} -m grader.cli"
    for word in ("$PODPATH/lab", "./lab"):
        script = script.replace(word, lab)
    script = script.replace(". $PODPATH/.venv/bin/activate\n", f"{ACTIVATE}\n")
    place = home / "netcourse"
    done = subprocess.run(
        ["sh", "-eu", "-c", f"{ACTIVATE}\n{script}"],
        cwd=place if place.exists() else TOP,
        env=environment(home),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def configured(home: Path) -> None:
    """What depends on where the test runs: an exchange below `home`."""
    (home / "exchange").mkdir()
    (home / "exchange").chmod(0o777)
    (home / ".jupyter").mkdir()
    settings = f"c.Exchange.root = {str(home / 'exchange')!r}\nc.ExchangeSubmit.strict = False\n"
    (home / ".jupyter/nbgrader_config.py").write_text(settings)


def downloaded(course: Course, notebook: str) -> None:
    """What Moodle lets a teacher download, where the page says to put it; and the line of the configuration for it."""
    archive = course.root / "downloaded" / ASSIGNMENT / "archive" / "Networks-02-bridge-1234.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"Bo de Vries_5678_assignsubmission_file_/{NOTEBOOK}", notebook)
    configuration = course.root / "nbgrader_config.py"
    text = configuration.read_text()
    assert "# c.FileNameCollectorPlugin" in text
    configuration.write_text(text.replace("# c.FileNameCollectorPlugin", "c.FileNameCollectorPlugin"))


@contextlib.contextmanager
def jupyter_lab(course: Course, home: Path, wait_until: Callable[..., Any]) -> Iterator[Callable[..., str]]:
    """JupyterLab in the course, started as the page says; called with a path, it gives what is there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = f"--no-browser --allow-root --ServerApp.port={port} --IdentityProvider.token=known"
    running = subprocess.Popen(
        ["sh", "-eu", "-c", f"{ACTIVATE}\nexec jupyter lab {options}"],
        cwd=course.root,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def get(path: str, data: bytes | None = None) -> str:
        headers = {"Authorization": "token known"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return bool(get("api"))
        assert running.poll() is None, "JupyterLab has ended"
        return False

    try:
        wait_until(answers, "JupyterLab answers", 60)
        yield get
    finally:
        running.terminate()
        running.wait(30)


def test_the_page_holds_what_it_says(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    configured(tmp_path)
    once, shell, hand_out, student, collect, zip_collect, grade, give_back, lecture, explain = blocks()

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
    untouched = json.dumps(notebook)
    cell(notebook, "bridge")["source"] = "".join(cell(course.source, "bridge")["source"])
    mine.write_text(json.dumps(notebook))
    run(submit, tmp_path)

    run(collect, tmp_path)
    assert "1 graded, 0 unchanged, 0 in need of a human's eye" in run(grade, tmp_path)
    (who,) = (path.name for path in (course.root / "submitted").iterdir())
    assert course.recorded(who) == (ALL, False)
    run(give_back, tmp_path)
    grades = list(csv.DictReader((course.root / "grades.csv").read_text().splitlines()))
    assert {row["student_id"]: row["score"] for row in grades if row["assignment"] == ASSIGNMENT} == {who: "20.0"}
    assert list((tmp_path / "exchange").rglob("*.html"))  # the feedback, where the student fetches it

    downloaded(course, untouched)  # of another student, who has written nothing
    run(zip_collect, tmp_path)
    assert "1 graded, 1 unchanged, 0 in need of a human's eye" in run(grade, tmp_path)
    assert course.recorded("Bo de Vries") == (NONE, False)
    assert "Score: 0.0 / 20.0" in course.feedback("Bo de Vries")
    the_formgrader_shows_it(course, tmp_path, wait_until)

    assert "2 reports, 20 points at most, 10.0 on average" in run(lecture, tmp_path)
    assert (course.root / "class.png").read_bytes().startswith(b"\x89PNG")
    assert "20 of 20 points" in run(explain.replace("$USER", who), tmp_path)


def the_formgrader_shows_it(course: Course, home: Path, wait_until: Callable[..., Any]) -> None:
    with jupyter_lab(course, home, wait_until) as get:
        assert "Formgrader" in get("formgrader/manage_assignments") or "nbgrader" in get("formgrader")
        students = {one["student"]: one for one in json.loads(get(f"formgrader/api/submissions/{ASSIGNMENT}"))}
        assert students["Bo de Vries"]["autograded"]
        (told,) = json.loads(get(f"formgrader/api/submitted_notebooks/{ASSIGNMENT}/bridge"))[:1]
        page = get(f"formgrader/submissions/{told['id']}/")
        assert "points" in page
        assert "Step 1" in page


def test_the_page_and_the_readme_name_no_file_that_is_not_there() -> None:
    for page in (PAGE, TOP / "docs/security.md", TOP / "README.md"):
        for link in re.findall(r"\]\(([\w./-]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for path in re.findall(r"`((?:grader|tests|docs)/[\w./]+)`", page.read_text(encoding="utf-8")):
            assert (TOP / path).exists(), f"{page.name}: {path}"

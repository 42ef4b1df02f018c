"""Submissions that were tampered with, by accident or on purpose: whatever is in the file, the student's code counts."""

import json
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader import grade
from grader.preprocessor import learners_cells, rebuilt
from tests.grading import tampering
from tests.grading.courses import ALL, LAB, NONE, Course, cell, code, nbgraders_own_warnings
from tests.grading.tampering import Notebook, Tamper

pytestmark = nbgraders_own_warnings


def _name(tamper: Tamper) -> str:
    return tamper.__name__.strip("_")


def _rebuilt(course: Course, notebook: Notebook) -> Any:
    new = rebuilt(course.original, [one for one in notebook["cells"] if isinstance(one, dict)])
    nbformat.validate(new)
    return new


def _program(new: Any) -> list[str]:
    return [one.source for one in learners_cells(new, LAB)]


@pytest.mark.parametrize(
    "accident",
    [tampering.delete_tests, tampering.strip_metadata, tampering.turn_into_text, tampering.lines],
    ids=_name,
)
def test_the_students_program_is_found_after(
    accident: Tamper, course: Course, solved: Callable[[], Notebook]
) -> None:
    notebook = solved()
    accident(notebook)
    assert notebook != solved()
    new = _rebuilt(course, notebook)
    assert _program(new) == [cell(solved(), "bridge")["source"]]
    assert len(new.cells) == len(course.original.cells)


@pytest.mark.parametrize(
    "accident",
    [
        tampering.split_the_solution,
        tampering.move_the_solution,
        tampering.keep_the_starter_in_it,
        tampering.print_a_lot,
    ],
    ids=_name,
)
def test_no_points_are_lost_by(accident: Tamper, course: Course, solved: Callable[[], Notebook]) -> None:
    notebook = solved()
    accident(notebook)
    graded = course.grade(_name(accident), notebook)
    assert graded.success, graded.log
    assert graded.scores == ALL


@pytest.mark.parametrize("trick", [*tampering.TRICKS, tampering.nonsense_for_metadata], ids=_name)
def test_no_trick_changes_what_is_ours(trick: Tamper, course: Course) -> None:
    answer = "class LearningBridge: pass"
    notebook = course.answered(answer)
    trick(notebook)
    new = _rebuilt(course, notebook)
    assert set(_program(new)) - {"note = '?'"} == {answer}
    named = [one for one in course.original.cells if "nbgrader" in one.metadata]
    for one in named:
        (there,) = [c for c in new.cells if c.metadata.get("nbgrader") == one.metadata.nbgrader]
        assert there.metadata == {"nbgrader": one.metadata.nbgrader}
        assert there.source == (answer if one.metadata.nbgrader.solution else one.source)
    assert sum("nbgrader" in one.metadata for one in new.cells) == len(named)
    assert not any(one.get("outputs") or one.get("attachments") for one in new.cells)


def test_what_the_teacher_changed_in_locked_cells_is_not_the_students_program(course: Course) -> None:
    original = course.original
    for one in original.cells:
        if one.cell_type == "code" and one.metadata.get("nbgrader", {}).get("locked"):
            one.source += "  # changed"
    answer = "class LearningBridge: pass"
    new = rebuilt(original, course.answered(answer)["cells"])
    assert sum("# changed" in one.source for one in new.cells) > len(ALL)
    assert _program(new) == [answer]


def test_all_tricks_together_win_nothing_and_lose_nothing(course: Course, solved: Callable[[], Notebook]) -> None:
    honest, empty = solved(), course.released
    for trick in tampering.TRICKS:
        trick(honest)
        trick(empty)
    graded = course.grade("tricks-solved", honest)
    assert graded.success, graded.log
    assert graded.scores == ALL
    graded = course.grade("tricks-starter", empty)
    assert graded.success, graded.log
    assert graded.scores == NONE
    assert "f0rged" not in course.feedback("tricks-starter")


# -- files that are no notebooks


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"cells": [', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"cells": 1' + b"0" * 10_000 + b"}", "not JSON"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"7", "no list of cells"),
        (b'{"cells": {"0": []}}', "no list of cells"),
        (json.dumps({"nbformat": 3, "worksheets": [{"cells": []}]}).encode(), "no list of cells"),
        (b" " * (21 << 20), "more than 20 MB"),
        (json.dumps({"cells": [code("x = 1")] * 1001}).encode(), "more than 1,000 cells"),
        (json.dumps({"cells": [code("x = 1;" * 40_000)]}).encode(), "more than 200,000 characters"),
        (json.dumps({"cells": [code("x = 1" + " \n" * 600)]}).encode(), "in a row"),
        (b'{"cells": []}', "there is no code in it"),
    ],
    ids=range(13),
)
def test_a_file_that_is_no_notebook_gets_no_points_and_says_why(content: bytes, says: str, course: Course) -> None:
    graded = course.grade("no-notebook", content)
    assert graded.success, graded.log
    assert graded.scores == NONE
    assert not graded.to_do
    assert says in graded.said("moved")


def test_a_folder_in_the_place_of_the_notebook_gets_no_points(course: Course) -> None:
    (course.root / "submitted" / "folder" / "02-bridge" / "bridge.ipynb").mkdir(parents=True)
    done = course.api.autograde("02-bridge", "folder")
    assert done["success"], done
    assert course.recorded("folder") == (NONE, False)


def test_deep_nesting_is_survived_wherever_it_is(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grade, "grade", lambda lab, cells, seed, _: grade.refused(lab, seed, f"{len(cells)} cells"))
    notebook = course.released
    deep: Any = "x"
    for _ in range(800):
        deep = [deep]
    notebook["metadata"]["deep"] = deep
    for one in notebook["cells"]:
        one.update(source=deep, metadata={"nbgrader": {"grade_id": deep}, "deep": deep}, outputs=deep)
    graded = course.grade("deep", notebook)
    assert graded.success, graded.log
    assert "0 cells" in graded.said("moved")


# -- programs that attack the grading


DISPLAYHOOK = """
import sys, builtins
sys.displayhook = lambda value: print(2.0)
class Anything(float):
    __eq__ = __ge__ = __le__ = __contains__ = lambda self, other: True
    __hash__ = float.__hash__
class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        sys.displayhook(2.0)
    def receive(self, port, frame, now):
        sys.displayhook(2.0)
        return Anything(2)
"""


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (DISPLAYHOOK, "list"),
        ("import os\nos._exit(0)", "its process ended"),
        ("while True:\n    pass", "still running"),
        ("x = 'x' * (1 << 32)", "there is no class LearningBridge"),
        ("class Bridge:\n    pass", "there is no class LearningBridge"),
        ("LearningBridge = None", "NoneType"),
    ],
    ids=["displayhook", "exit", "endless", "memory", "no-class", "none"],
)
def test_an_attack_gets_no_points_and_says_what_came_of_it(program: str, says: str, course: Course) -> None:
    graded = course.grade("attack", course.answered(program))
    assert graded.success, graded.log
    assert graded.scores == NONE
    assert says in graded.said("flood-unknown")


def test_points_written_into_test_cells_are_not_given(course: Course) -> None:
    notebook = course.released
    for slug in ALL:
        cell(notebook, slug).update(source=tampering.HARD_CODED, metadata={})
    graded = course.grade("hard-coded", notebook)
    assert graded.success, graded.log
    assert graded.scores == NONE


def test_no_code_of_a_student_runs_outside_the_jail(
    course: Course, solved: Callable[[], Notebook], tmp_path: Path
) -> None:
    traces = [tmp_path / "marker", course.root / "marker", Path.home() / f"podpath-{tmp_path.name}-marker"]
    program = (
        "import contextlib, os, subprocess\n"
        f"for trace in {[str(trace) for trace in traces]!r}:\n"
        "    for leave in (lambda: open(trace, 'w').write('here'), lambda: os.system(f'echo > {trace}'),\n"
        "                  lambda: subprocess.run(['touch', trace])):\n"
        "        with contextlib.suppress(Exception):\n"
        "            leave()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert all(trace.exists() for trace in traces)  # so this is a program that leaves traces
    for trace in traces:
        trace.unlink()

    notebook = solved()
    magic = f"!touch {traces[0]}\n%system touch {traces[1]}"
    notebook["cells"][0:0] = [code(program), code(magic), code(f"%%bash\ntouch {traces[2]}")]
    notebook["cells"][5]["source"] = program
    cell(notebook, "moved")["source"] = program
    (course.submit("traces", notebook).parent / "sitecustomize.py").write_text(program)
    graded = course.grade("traces", notebook)
    assert graded.scores == ALL  # it ran, in the jail
    course.feedback("traces")
    assert [trace for trace in traces if trace.exists()] == []


# -- what students write is shown to teachers, and must not run in their browsers


class _Page(HTMLParser):
    """Collects what a browser would execute: scripts, and attributes that hold any. Minds that all tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.active: list[str] = []
        self.text: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in ("br", "img", "link", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.active += [f"{tag} {name}={value}" for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.active if self._inside in ("script", "style") else self.text).append(data)

    def handle_comment(self, data: str) -> None:
        self.active.append(data)


def test_nothing_a_student_writes_becomes_part_of_the_page(course: Course) -> None:
    evil = "<script>evil()</script><img src=x onerror=evil()>[x](javascript:evil()) $\\href{javascript:evil()}{x}$"
    program = (
        "class LearningBridge:\n"
        "    def __init__(self, *args, **kwargs): pass\n"
        f"    def receive(self, port, frame, now):\n        print({evil!r})\n        raise ValueError({evil!r})\n"
    )
    notebook = course.answered(program)
    spoil = {"cell_type": "markdown", "metadata": {"tags": [evil]}, "id": evil, "attachments": {evil: {}}}
    notebook["cells"][0] = {**notebook["cells"][0], "source": evil}
    notebook["cells"] += [
        {**spoil, "source": f"# evil\n```\n{evil}\n````\n{evil}\n</pre>{evil}"},
        {**spoil, "cell_type": "raw", "source": evil, "metadata": {"raw_mimetype": "text/html"}},
        {**spoil, "cell_type": evil, "source": evil},
        code(f"# </pre>{evil}\n'''</script>{evil}"),
    ]
    notebook["metadata"]["title"] = evil
    notebook["metadata"]["language_info"] = {"name": evil, "pygments_lexer": evil}
    notebook["metadata"]["kernelspec"] = {"name": evil, "display_name": evil}
    graded = course.grade("evil", notebook)
    assert graded.success, graded.log
    assert "evil()" in graded.said("moved")
    page = _Page(course.feedback("evil"))
    assert page.open == []
    assert sum("evil()" in text for text in page.text) > len(ALL)  # it is shown
    assert [text for text in page.active if "evil" in text and not text.startswith("title")] == []
    assert all("tex2jax_ignore" in "".join(graded.outputs(slug)[0]["data"]["text/html"]) for slug in ALL)

"""`check("slug")` inside a notebook: points as the value, the result on display, and nothing on stderr."""

from typing import Any

import pytest

from grader import checks, notebook, solution
from grader.check import Failed, Step, run
from grader.jail import Jail
from grader.subject import InProcess

from ..labs.solutions import TESTS, Solution

LAB = checks.find("02")
BENCH = [check for step in LAB.steps if not step.live for check in step.checks]


def defined_by(cells: list[Any]) -> Any:
    """The class that some cells define, in this process: these cells are ours."""
    names: dict[str, Any] = {"__name__": "learner"}
    for cell in cells:
        exec(compile(cell.source, cell.label, "exec"), names)
    return names[LAB.class_name]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was put on display."""
    told: list[Any] = []
    monkeypatch.setattr(notebook, "display", told.append)
    return told


def test_the_value_is_the_points_earned(shown: list[Any]) -> None:
    check = notebook.checker("02-bridge")
    reference = defined_by(solution.read(solution.exercise(LAB), LAB))
    assert [check(one.slug, reference, seed=1) for one in BENCH] == [float(one.points) for one in BENCH]
    hub = defined_by(solution.read(TESTS / "wrong/02/hub.py", LAB))
    assert check("learn-forward", hub, seed=1) == 0.0
    assert "A hub sends every frame everywhere" in " ".join(repr(shown[-1]).split())


def test_what_is_shown_is_escaped(shown: list[Any]) -> None:
    class LearningBridge:
        def __init__(self, ports: list[str]) -> None:
            raise ValueError("<script>alert(1)</script>")

    assert notebook.checker("02")("flood-unknown", LearningBridge) == 0.0
    assert "<script>" in repr(shown[0])
    assert "<script>" not in shown[0]._repr_html_()
    assert "&lt;script&gt;" in shown[0]._repr_html_()


def test_without_the_class_it_says_what_to_do(shown: list[Any]) -> None:
    assert notebook.checker("02")("flood-unknown") == 0.0
    assert "there is no class LearningBridge yet. Run the cell that defines it" in repr(shown[0])


def test_a_slug_that_is_none_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert notebook.checker("02")("flood") == 0.0
    assert "it has flood-unknown, flood-group" in capsys.readouterr().out


def test_a_misspelt_method_is_named(shown: list[Any]) -> None:
    class LearningBridge:
        def __init__(self, ports: list[str]) -> None: ...
        def recieve(self, port: str, frame: bytes, now: float) -> None: ...

    assert notebook.checker("02")("flood-unknown", LearningBridge) == 0.0
    told = " ".join(repr(shown[0]).split())
    assert "the class has no method receive(self, port, frame, now); it has recieve" in told


@pytest.mark.parametrize("body", ["pass", "try: hash(1)\n            except Exception: pass"])
def test_a_loop_without_end_is_ended_and_the_notebook_goes_on(shown: list[Any], body: str) -> None:
    names: dict[str, Any] = {}
    exec(
        "class LearningBridge:\n    def __init__(self, ports): pass\n"
        f"    def receive(self, port, frame, now):\n        while True:\n            {body}\n",
        names,
    )
    assert notebook.checker("02")("flood-unknown", names["LearningBridge"]) == 0.0
    assert "still running after 2 s" in repr(shown[0])


@pytest.mark.parametrize("name", ["hub", "never_ages", "decrements_ttl", "full_evicts_oldest", "bad_returns_none"])
def test_the_jail_and_the_notebook_tell_the_same(name: str) -> None:
    wrong = Solution(LAB, TESTS / f"wrong/02/{name}.py")
    check = LAB.check(wrong.header("caught-by"))
    here = run(LAB, check, InProcess({LAB.class_name: defined_by(wrong.cells)}, LAB.class_name), seed=3)
    with Jail(wrong.cells, LAB.class_name) as jail:
        there = run(LAB, check, jail, seed=3)
    assert (here.passed, here.message, here.transcript) == (there.passed, there.message, there.transcript)


def test_a_check_gets_the_same_random_numbers_whatever_ran_before() -> None:
    step, seen = Step("a step"), []

    @step.check("draw", "draws a number", 1, "none")
    def draw(trial: Any) -> None:
        seen.append(trial.random.random())
        raise Failed("told")

    for seed in (1, 1, 2):
        run(LAB, step.checks[0], InProcess({}, LAB.class_name), seed)
    assert seen[0] == seen[1] != seen[2]

"""A learner's mistakes, told with the learner's own lines and without ours."""

import linecache
from collections.abc import Callable
from typing import Any

import pytest

from podpath.errors import explain, own_lines

CALL = "receive(port, frame, now)"


@pytest.fixture
def cell() -> Callable[[str], dict[str, Any]]:
    """Run source text as a notebook would run a cell; its names."""

    def run(source: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        linecache.cache["cell-1.py"] = (len(source), None, source.splitlines(True), "cell-1.py")
        exec(compile(source, "cell-1.py", "exec"), names)
        return names

    return run


def raised(function: Callable[..., object], *arguments: object) -> BaseException:
    """What it raises, as podpath would have caught it: the call itself is none of the learner's lines."""
    try:
        function(*arguments)
    except BaseException as error:
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError("it raised nothing")


def test_an_error_comes_with_the_lines_that_led_to_it(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell(
        "def receive(port, frame, now):\n    return look_up(frame)\n\ndef look_up(frame):\n    return {}[port]\n"
    )
    said = explain(raised(names["receive"], "a", b"", 0.0), CALL)
    assert said.splitlines() == [
        "NameError: name 'port' is not defined",
        "  line 2 in receive(): return look_up(frame)",
        "  line 5 in look_up(): return {}[port]",
    ]


def test_an_error_while_the_cell_itself_runs_comes_with_its_line(cell: Callable[[str], dict[str, Any]]) -> None:
    assert explain(raised(cell, "x = 1\n1 / 0\n")).endswith("\n  line 2: 1 / 0")


def test_a_call_of_exit_is_told_as_one(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell("import sys\ndef receive(port, frame, now):\n    sys.exit()\n")
    said = explain(raised(names["receive"], "a", b"", 0.0), CALL)
    assert said.splitlines() == [
        "receive called sys.exit or exit, which ends the whole program",
        "  line 3 in receive(): sys.exit()",
    ]


def test_lines_of_libraries_and_of_podpath_are_not_the_learners(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell(
        "import json, podpath.packets\ndef f():\n    json.loads('{')\ndef g():\n    podpath.packets.mac('x')\n"
    )
    assert own_lines(raised(names["f"])) == "  line 3 in f(): json.loads('{')\n"
    assert own_lines(raised(names["g"])) == "  line 5 in g(): podpath.packets.mac('x')\n"


def test_code_that_is_not_written_yet_is_said_to_be_so(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell("def receive(port, frame, now):\n    raise NotImplementedError()\n")
    assert explain(raised(names["receive"], "a", b"", 0.0), CALL).startswith("receive is not written yet")


def test_a_wrong_signature_is_told_as_one(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell("def receive(frame):\n    return []\n")
    assert explain(raised(names["receive"], "a", b"", 0.0), CALL).startswith(f"it cannot be called as {CALL}: ")


def test_a_syntax_error_shows_the_line(cell: Callable[[str], dict[str, Any]]) -> None:
    said = explain(raised(cell, "x = 1\nif x\n    pass\n"))
    assert said == "Python cannot read the code: expected ':'\n  line 2: if x"


def test_endless_recursion_is_short_and_named(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell("def receive(port, frame, now):\n    return receive(port, frame, now)\n")
    said = explain(raised(names["receive"], "a", b"", 0.0), CALL)
    assert said.startswith("receive calls itself without end")
    assert len(said.splitlines()) <= 5


def test_an_error_that_cannot_say_what_it_is_still_has_a_name(cell: Callable[[str], dict[str, Any]]) -> None:
    names = cell(
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError()\ndef f():\n    raise Odd()\n"
    )
    assert "Odd" in explain(raised(names["f"]))

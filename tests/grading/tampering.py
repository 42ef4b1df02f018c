"""What happens to notebooks before they are handed in: each of these changes one, in place."""

import copy
from collections.abc import Callable
from typing import Any

from tests.grading.courses import ALL, cell, code

Notebook = dict[str, Any]
Tamper = Callable[[Notebook], None]
HARD_CODED = "2.0"


# -- accidents, and what tools do to notebooks: no points are lost


def delete_tests(notebook: Notebook) -> None:
    notebook["cells"] = [one for one in notebook["cells"] if "check(" not in "".join(one["source"])]


def strip_metadata(notebook: Notebook) -> None:
    answer = cell(notebook, "bridge")
    notebook["metadata"] = {}
    for one in notebook["cells"]:
        if one is not answer:
            one["metadata"] = {}


def split_the_solution(notebook: Notebook) -> None:
    """As Jupyter splits a cell: both halves keep its metadata. The upper one is a base class here."""
    first = cell(notebook, "bridge")
    place = notebook["cells"].index(first)
    second = copy.deepcopy(first)
    first["source"] = "".join(first["source"]).replace("class LearningBridge", "class Base")
    second["source"] = "class LearningBridge(Base):\n    pass"
    notebook["cells"].insert(place + 1, second)


def move_the_solution(notebook: Notebook) -> None:
    """All of it is in cells of one's own, at the end, where the second needs the first."""
    source = "".join(cell(notebook, "bridge")["source"])
    notebook["cells"].remove(cell(notebook, "bridge"))
    notebook["cells"] += [code("ROOM = 4096"), code(source.replace("4096", "ROOM"))]


def keep_the_starter_in_it(notebook: Notebook) -> None:
    """The class as released has been deleted; what replaces it stands above."""
    one = cell(notebook, "bridge")
    notebook["cells"].insert(0, code(one["source"]))
    notebook["cells"].remove(one)


def turn_into_text(notebook: Notebook) -> None:
    one = cell(notebook, "bridge")
    one["cell_type"] = "markdown"
    del one["outputs"], one["execution_count"]


def lines(notebook: Notebook) -> None:
    for one in notebook["cells"]:
        one["source"] = "".join(one["source"]).splitlines(keepends=True)


def print_a_lot(notebook: Notebook) -> None:
    notebook["cells"].insert(0, code("import sys\nfor _ in range(100):\n    print('x' * 100_000, file=sys.stderr)"))


# -- on purpose: none are won, and none are lost


def tag(notebook: Notebook) -> None:
    for one in notebook["cells"]:
        one["metadata"]["tags"] = ["skip-execution", "raises-exception", "remove_cell", "<script>"]


def lie_about_the_tests(notebook: Notebook) -> None:
    for slug in ALL:
        marked = cell(notebook, slug)["metadata"]["nbgrader"]
        marked.update(solution=True, grade=False, locked=False, points=1e9, checksum=7, task="yes", x=[{}])


def nonsense_for_metadata(notebook: Notebook) -> None:
    answer = cell(notebook, "bridge")
    nonsense = [{"grade_id": ["moved"]}, {"grade_id": {"moved": 1}}, {"grade_id": 5, "grade": True}, [], "x", None, 7]
    for number, one in enumerate(one for one in notebook["cells"] if one is not answer):
        one["metadata"] = {"nbgrader": nonsense[number % 7]} if number % 9 else nonsense[number % 7]


def edit_the_tests(notebook: Notebook) -> None:
    for slug in ALL:
        cell(notebook, slug)["source"] = HARD_CODED


def forge_outputs(notebook: Notebook) -> None:
    data = {"text/plain": HARD_CODED, "text/html": "<script>f0rged</script>"}
    forged = {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}
    for slug in ALL:
        cell(notebook, slug)["outputs"] = [forged] * 50


def duplicate_everything(notebook: Notebook) -> None:
    notebook["cells"] = [one for one in notebook["cells"] for _ in range(2)]


def nonsense_for_cells(notebook: Notebook) -> None:
    notebook["cells"][3:3] = [
        None,
        5,
        "x",
        [],
        {},
        {"cell_type": "code"},
        {"cell_type": ["code"], "source": {"a": 1}},
    ]
    notebook["cells"] += [{"cell_type": "raw", "source": [["deep"], 3, "<script>"], "attachments": {"a": 7}}]
    notebook.update(nbformat="four", nbformat_minor=None, metadata=["kernelspec"], extra=1)


def half_characters(notebook: Notebook) -> None:
    notebook["cells"].append(code("note = '\ud800'"))


TRICKS = [
    tag, lie_about_the_tests, edit_the_tests, forge_outputs, half_characters, nonsense_for_cells,
    duplicate_everything,
]  # fmt: skip

"""The learner's program out of what they hand in: a notebook, or a plain Python file.

Nothing is run here, and nothing but text is taken: of a notebook, the sources of its code cells. A notebook also holds
cells of ours (the demonstrations, the checks), which are left out by comparing them with the exercise as released;
what is left is what the learner wrote or added, whatever has become of the cells' metadata on the way.
"""

import json
from pathlib import Path
from typing import Any

from grader.check import Lab
from grader.jail import Cell

EXERCISES = Path(__file__).parent.parent / "exercises"
_TOO_LARGE = 20 << 20  # bytes
_PARTS = 2_000_000  # lists, objects and commas: each costs a hundred times its size in memory


class Unreadable(ValueError):
    """The file cannot be read as a submission; the text says why, for a beginner."""


def exercise(lab: Lab) -> Path:
    """Where the lab's exercise is, with the reference solution in its solution cells."""
    return EXERCISES / lab.full_name / f"{lab.name}.ipynb"


def reference(lab: Lab) -> dict[str, Any]:
    """What the lab's reference solution defines, by name. It runs here: it is ours."""
    names: dict[str, Any] = {}
    for cell in _code_cells(_own_exercise(lab)):
        if is_solution(cell):
            exec(compile(source(cell), f"<reference of lab {lab.number}>", "exec"), names)
    return names


def read(path: Path, lab: Lab) -> list[Cell]:
    """The learner's program in a file. Raises Unreadable."""
    if path.suffix == ".py":
        return [Cell(path.name, _text(path), whole=True)]
    return from_notebook(read_notebook(path), lab)


def read_notebook(path: Path) -> Any:
    """A notebook as plain data. Nothing is promised of it but that it has a list of cells. Raises Unreadable."""
    text = _text(path)
    if sum(map(text.count, "[{,")) > _PARTS:
        raise Unreadable(f"{path.name} has more than {_PARTS:,} parts: clear its outputs and save it again")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(
            f"{path.name} is no Jupyter notebook (it is not JSON). Save it from JupyterLab, or hand in a .py file"
        ) from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable(f"{path.name} is JSON, but no Jupyter notebook: it has no list of cells")
    return notebook


def from_notebook(notebook: Any, lab: Lab) -> list[Cell]:
    """The learner's cells of a notebook, in order."""
    ours = {source(cell).strip() for cell in _code_cells(_own_exercise(lab)) if not is_solution(cell)}
    found = []
    for cell in _code_cells(notebook):
        text = source(cell)
        if text.strip() and text.strip() not in ours:
            found.append(Cell(f"the code cell that begins with {text.strip().splitlines()[0][:40]!r}", text))
    return found


def source(cell: dict[str, Any]) -> str:
    """The text of a cell, which JSON may hold as one string or as many; "" for anything else.

    JSON can also hold half characters, which no file can: they become question marks.
    """
    value = cell.get("source")
    parts = value if isinstance(value, list) else [value]
    text = "".join(part for part in parts if isinstance(part, str))
    return text.encode("utf-8", "replace").decode("utf-8")


def is_solution(cell: Any) -> bool:
    """Whether nbgrader calls it a cell for the learner to fill in."""
    marked = cell.get("metadata", {}).get("nbgrader", {})
    return bool(isinstance(marked, dict) and marked.get("solution"))


def _own_exercise(lab: Lab) -> Any:
    return json.loads(exercise(lab).read_text(encoding="utf-8"))


def _code_cells(notebook: Any) -> list[dict[str, Any]]:
    return [c for c in notebook["cells"] if isinstance(c, dict) and c.get("cell_type") == "code"]


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise Unreadable(f"{path.name} is no ordinary file")
        if path.stat().st_size > _TOO_LARGE:
            raise Unreadable(f"{path.name} has more than {_TOO_LARGE >> 20} MB: clear its outputs and save it again")
        return path.read_text(encoding="utf-8-sig")  # some editors put a mark at the beginning
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not text in UTF-8") from None

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


class Unreadable(ValueError):
    """The file cannot be read as a submission; the text says why, for a beginner."""


def exercise(lab: Lab) -> Path:
    """Where the lab's exercise is, with the reference solution in its solution cells."""
    return EXERCISES / lab.full_name / f"{lab.name}.ipynb"


def read(path: Path, lab: Lab) -> list[Cell]:
    """The learner's program in a file. Raises Unreadable."""
    try:
        if path.stat().st_size > _TOO_LARGE:
            raise Unreadable(f"{path.name} has more than {_TOO_LARGE >> 20} MB: clear its outputs and save it again")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not text in UTF-8") from None
    if path.suffix == ".py":
        return [Cell(path.name, text, whole=True)]
    try:
        return from_notebook(json.loads(text), lab)
    except (ValueError, RecursionError):
        raise Unreadable(
            f"{path.name} is no Jupyter notebook (it is not JSON). Save it from JupyterLab, or hand in a .py file"
        ) from None


def from_notebook(notebook: Any, lab: Lab) -> list[Cell]:
    """The learner's cells of a notebook, in order. Raises Unreadable if it has none of a notebook's structure."""
    ours = {_source(cell).strip() for cell in _code_cells(_own_exercise(lab)) if not is_solution(cell)}
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable("this is JSON, but no Jupyter notebook: it has no list of cells")
    found = []
    for number, cell in enumerate(_code_cells(notebook), start=1):
        source = _source(cell)
        if source.strip() and source.strip() not in ours:
            found.append(Cell(f"code cell {number}", without_magics(source)))
    return found


def is_solution(cell: Any) -> bool:
    """Whether nbgrader calls it a cell for the learner to fill in."""
    marked = cell.get("metadata", {}).get("nbgrader", {})
    return bool(isinstance(marked, dict) and marked.get("solution"))


def without_magics(source: str) -> str:
    """The cell without what only IPython understands: lines that start with % or !, and whole %% cells."""
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join("" if line.startswith(("%", "!", "?")) else line for line in source.split("\n"))


def _own_exercise(lab: Lab) -> Any:
    return json.loads(exercise(lab).read_text(encoding="utf-8"))


def _code_cells(notebook: Any) -> list[dict[str, Any]]:
    return [c for c in notebook["cells"] if isinstance(c, dict) and c.get("cell_type") == "code"]


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)

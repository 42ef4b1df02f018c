"""`check("flood-unknown")`: the checks, inside a notebook.

The learner's class runs in the notebook's own process, so that a check takes milliseconds and the class can be looked
at. The last value is the points earned, which is how a stock nbgrader takes partial credit. Nothing goes to stderr, for
which nbgrader would take all points away.
"""

import html
from collections.abc import Callable, Mapping
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from grader import checks
from grader.check import Result, run
from grader.grade import new_seed
from grader.subject import InProcess


class Shown:
    """A result, as a notebook shows it: in colour where there is HTML, as text elsewhere."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def __repr__(self) -> str:
        return str(self._result)

    def _repr_html_(self) -> str:
        return as_html(self._result)


def as_html(result: Result) -> str:
    """A result as HTML; everything in it is escaped. Readable on light and dark backgrounds, and without colour."""
    colour, mark = ("#1b7f4b", "&#10003;") if result.passed else ("#c2410c", "&#10007;")
    head = f"<b style='color:{colour}'>{mark} {result.points}/{result.max_points}</b> {html.escape(result.name)}"
    steps = f"<pre style='margin:.4em 0'>{html.escape(chr(10).join(result.transcript))}</pre>"
    if result.passed:
        body = f"<details><summary>what was tried</summary>{steps}</details>"
    else:
        lines = html.escape(result.message).replace("\n", "<br>")
        body = (
            f"{steps}<div style='white-space:pre-wrap;border-left:4px solid {colour};padding-left:.6em'>{lines}</div>"
        )
    # The classes keep MathJax from reading formulas into what programs say.
    return f"<div class='tex2jax_ignore mathjax_ignore'>{head}{body}</div>"


def checker(lab_name: str) -> Callable[..., float]:
    """The `check` function of a lab, for its notebook: `check = checker("02-bridge")`."""
    lab = checks.find(lab_name)

    def check(slug: str, learners_class: Callable[..., Any] | None = None, seed: int | None = None) -> float:
        """Run one check, show what came of it, and return the points.

        The class is the one that the notebook defines, unless another is given. `seed` repeats an earlier run.
        """
        try:
            chosen = lab.check(slug)
        except KeyError as unknown:
            print(unknown.args[0])
            return 0.0
        shell = get_ipython()
        names: Mapping[str, Any] = {} if shell is None else shell.user_ns
        if learners_class is not None:
            names = {**names, lab.class_name: learners_class}
        result = run(lab, chosen, InProcess(names, lab.class_name), new_seed() if seed is None else seed)
        display(Shown(result))  # type: ignore[no-untyped-call]
        return float(result.points)

    return check

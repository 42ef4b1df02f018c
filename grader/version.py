"""The version of a lab's checks: another one whenever a report might come out differently.

It is a digest of the files that take part in making a report, so nobody has to remember to raise a number. A change to
one lab's checks leaves the versions of the others alone.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from grader.check import Lab

_TOP = Path(__file__).parent.parent
_ROOTS = ("grader.grade", "grader.jail_child")


@cache
def checks_version(lab: Lab) -> str:
    """The version of a lab's checks on this machine: 16 hexadecimal digits."""
    digest = hashlib.sha256(f"Python {sys.version_info.major}.{sys.version_info.minor}".encode())
    for file in sorted(_files(lab)):
        digest.update(f"\0{file.relative_to(_TOP)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _files(lab: Lab) -> set[Path]:
    """What takes part: the lab's own package, all of podpath's runtime, and of the grader what these reach."""
    package = ".".join(lab.checks[0].run.__module__.split(".")[:3])
    own = _TOP / package.replace(".", "/")
    found = {*(own.rglob("*.py") if own.is_dir() else [own.with_suffix(".py")]), *(_TOP / "podpath").glob("*.py")}
    waiting = [*found, *filter(None, map(_file, _ROOTS))]
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting += [one for one in _imported(file) if one not in found]
    return found


def _imported(file: Path) -> Iterator[Path]:
    """The modules of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.startswith("grader.") and (found := _file(name)):
                yield found


def _file(module: str) -> Path | None:
    path = _TOP / module.replace(".", "/")
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)

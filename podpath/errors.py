"""What went wrong in a learner's code, told for the learner: the error and their own lines, without ours. Pure."""

import linecache
import sys
import traceback
from pathlib import Path

_TOP = Path(__file__).parent.parent
_OURS = (f"{_TOP}/podpath/", f"{_TOP}/grader/", f"{_TOP}/jail_child.py")  # the last as the jail lays it out
_LIBRARIES = (sys.prefix + "/lib", sys.base_prefix + "/lib", "<frozen")


def own_lines(error: BaseException, at_most: int = 4) -> str:
    """The lines of the traceback that lie in the learner's code, one per line; "" if none does."""
    shown = []
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith((*_OURS, *_LIBRARIES)):
            source = linecache.getline(frame.filename, frame.lineno or 0).strip()
            shown.append(f"  line {frame.lineno}{_place(frame.name)}: {source}\n")
    return "".join(shown[-at_most:])


def explain(error: BaseException, call: str = "") -> str:
    """The error in words. `call` is how the code was called, such as `receive(port, frame, now)`."""
    name = call.split("(")[0]
    lines = own_lines(error)
    said = _last_line(error)
    if isinstance(error, NotImplementedError):
        return f"{name or 'this'} is not written yet: `raise NotImplementedError()` is still there\n{lines}".rstrip()
    if isinstance(error, SystemExit):
        return f"{name or 'the code'} called sys.exit or exit, which ends the whole program\n{lines}".rstrip()
    if isinstance(error, SyntaxError):
        where = f"line {error.lineno}: {(error.text or '').strip()}"
        return f"Python cannot read the code: {error.msg}\n  {where}"
    if isinstance(error, TypeError) and not lines and call:
        return f"it cannot be called as {call}: {error}"
    if isinstance(error, RecursionError):
        return f"{name or 'the code'} calls itself without end (RecursionError)\n{lines}".rstrip()
    return f"{said}\n{lines}".rstrip()


def _place(name: str) -> str:
    return "" if name == "<module>" else f" in {name}()"


def _last_line(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception_only(error)).strip()[:500]
    except Exception:  # the learner's own exception class may fail to say what it is
        return type(error).__name__

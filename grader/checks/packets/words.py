"""What is said of a header that is not as it should be: the field, and the mistake where it is a frequent one."""

import dataclasses
from typing import Any

from grader.checks.packets.wire import Difference
from podpath.packets import mac_text

BYTE_ORDER = (
    "Network byte order is big-endian; struct uses the machine's own order unless the format starts with '!'."
)


def shown(value: Any) -> str:
    """A value, as short as can be: MAC addresses with colons, headers by their fields."""
    if isinstance(value, bytes):
        if len(value) == 6:
            return mac_text(value)
        text = value[:12].hex(" ") + (" ..." if len(value) > 12 else "")
        return f"{count(len(value))} ({text})" if value else "b''"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = (f"{field.name}={shown(getattr(value, field.name))}" for field in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(inside)})"
    if isinstance(value, tuple) and len(value) == 2:
        return f"({shown(value[0])}, {shown(value[1])})"
    if isinstance(value, list | tuple | dict | str):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:80]}..."
    return str(value)


def count(number: int) -> str:
    """A number of bytes, in words."""
    return "1 byte" if number == 1 else f"{number} bytes"


def header_mistake(expected: Any, got: Any) -> str:
    """What is wrong with a header that was parsed; "" if nothing is."""
    name = type(expected).__name__
    if type(got) is not type(expected):
        return f"It must return an {name}(...) of podpath.headers, but returned {shown(got)}, {kind(got)}."
    for field in dataclasses.fields(expected):
        right, wrong = getattr(expected, field.name), getattr(got, field.name)
        if right != wrong or isinstance(right, bytes) != isinstance(wrong, bytes):
            return f"{name}.{field.name} is {shown(wrong)}, must be {shown(right)}.{_hint(right, wrong)}"
    return ""


def _hint(right: Any, wrong: Any) -> str:
    if type(right) is not type(wrong):
        return f" It must be {kind(right)}, and is {kind(wrong)}."
    if isinstance(right, int) and 255 < right < 65536 and wrong == int.from_bytes(right.to_bytes(2, "big"), "little"):
        return f" The two bytes are swapped: you read {wrong:04x}, the wire has {right:04x}. {BYTE_ORDER}"
    return ""


def kind(value: Any) -> str:
    """The class of a value, as a noun with its article."""
    if value is None:
        return "None"
    name = type(value).__name__
    if name == "bytes":
        return count(len(value))
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def field_mistake(difference: Difference) -> str:
    """What is wrong with a field that was built."""
    right, wrong = difference.expected.hex(" "), difference.got.hex(" ") or "missing"
    text = f"The {difference.name} is {wrong}, must be {right} (hex)."
    if difference.swapped:
        text += f" The bytes are swapped. {BYTE_ORDER}"
    return text

"""Values that cross between the checks and the learner's code, as JSON.

Both ways of running that code use it, so that it gets equal values and its answers are equally limited to plain ones:
numbers, text, bytes, addresses, the classes of `podpath.configuration` and `podpath.headers`, and lists, tuples and
dicts of these. In the jail it stands beside the learner's program: it must need nothing but the pure part of podpath.
"""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from podpath import configuration, headers

_CONFIGURATION = (
    configuration.Interface,
    configuration.Route,
    configuration.Endpoint,
    configuration.Service,
    configuration.Lease,
    configuration.Node,
)
_HEADERS = (headers.Ethernet, headers.Arp, headers.Ipv4, headers.Udp)
_CLASSES: dict[str, type[Any]] = {one.__name__: one for one in (*_CONFIGURATION, *_HEADERS)}
_ADDRESSES = {one.__name__: one for one in (IPv4Address, IPv4Interface, IPv4Network)}
_DEPTH = 20  # values within values


class NotPlain(ValueError):
    """A value that cannot cross; the text says which, for the learner."""


@dataclasses.dataclass(frozen=True)
class Chance:
    """Stands for a `random.Random(seed)` that the learner's code is handed."""

    seed: int

    def __repr__(self) -> str:
        return f"Random({self.seed})"


def shown_call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A call, as one would write it: what people are told was called."""
    return f"{name}({', '.join([*map(repr, args), *(f'{key}={value!r}' for key, value in kwargs.items())])})"


def encode(value: Any, depth: int = _DEPTH) -> Any:
    """As what JSON can hold. Raises NotPlain."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth == 0:
        raise NotPlain("it nests values too deeply")
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if type(value).__name__ in _ADDRESSES and type(value) is _ADDRESSES[type(value).__name__]:
        return {type(value).__name__: str(value)}
    if type(value) is Chance:
        return {"Chance": value.seed}
    if type(value) is _CLASSES.get(type(value).__name__):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return {type(value).__name__: [encode(one, depth - 1) for one in fields]}
    if isinstance(value, list):
        return [encode(one, depth - 1) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(one, depth - 1) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key, depth - 1), encode(one, depth - 1)] for key, one in value.items()]}
    if isinstance(value, bool | int | float | str):  # of a class of their own, such as an IntEnum
        return next(kind(value) for kind in (bool, int, float, str) if isinstance(value, kind))
    raise NotPlain(f"it returned {_shown(value)}, of the class {type(value).__name__}, which no check asks for")


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except BaseException:  # their own __repr__
        return "a value"


def decode(value: Any) -> Any:
    """The value again. Raises ValueError for what `encode` does not make: the other side may be an enemy."""
    if isinstance(value, list):
        return [decode(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ValueError("not one of our values")
    ((kind, inside),) = value.items()
    try:
        return _made(kind, inside)
    except (TypeError, KeyError, AttributeError) as wrong:
        raise ValueError(f"not one of our values: {wrong}") from None


def _made(kind: str, inside: Any) -> Any:
    if kind == "bytes":
        return bytes.fromhex(inside)
    if kind in _ADDRESSES:
        return _ADDRESSES[kind](str(inside))
    if kind == "Chance":
        return random.Random(inside)
    parts = [decode(one) for one in inside]
    if kind == "tuple":
        return tuple(parts)
    if kind == "range":
        return range(*parts)
    if kind == "dict":
        return dict(parts)
    return _CLASSES[kind](*parts)

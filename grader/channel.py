"""The channel between the checks and a process that may be an enemy: a request, a reply, a limit on everything."""

import json
import re
import socket
import struct
from typing import Any

from grader.check import LearnerError
from grader.patience import Stopwatch
from podpath.datapath import Frames
from podpath.values import decode

REPLY = 4 << 20  # bytes: a longer reply is a breach


def exchange(channel: socket.socket, request: dict[str, Any], watch: Stopwatch, seconds: float) -> dict[str, Any]:
    """One request and its reply. Raises TimeoutError after `seconds` on the stopwatch, and OSError, ValueError or
    RecursionError for what is no reply.
    """
    data = json.dumps(request).encode()
    channel.settimeout(10 * seconds)  # it may be too busy to listen; whether it is too slow is measured below
    channel.sendall(struct.pack("!I", len(data)) + data)
    (length,) = struct.unpack("!I", _exactly(channel, 4, watch, seconds))
    if length > REPLY:
        raise ValueError("a reply too long")
    reply = json.loads(_exactly(channel, length, watch, seconds))
    if not isinstance(reply, dict):
        raise ValueError("not an object")
    return reply


def _exactly(channel: socket.socket, count: int, watch: Stopwatch, seconds: float) -> bytes:
    """So many bytes. Raises TimeoutError after `seconds` on the stopwatch; what has arrived by then counts."""
    parts, missing = [], count
    while missing:
        channel.settimeout(max(seconds - watch.elapsed(), 0.0))
        try:
            part = channel.recv(min(missing, 1 << 16))
        except (TimeoutError, BlockingIOError):
            if watch.elapsed() < seconds:
                continue  # it was kept waiting
            raise TimeoutError from None
        if not part:
            raise OSError("the end of the process")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def clean(text: object, length: int) -> str:
    """Text that may be shown: no control characters, which could rewrite a terminal, and no more than `length`.

    Nor addresses of objects, which differ from run to run, where a report must not.
    """
    same = re.sub(r"\bat 0x[0-9a-f]{6,}", "at 0x...", str(text)[:length])
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in same)


def typed(value: Any, kind: type) -> Any:
    """Part of a reply, if it is what it has to be. Raises LearnerError, as the next two do."""
    if type(value) is not kind:
        raise LearnerError("its process sent nonsense")
    return value


def value_in(reply: dict[str, Any]) -> Any:
    """The value that a call has returned."""
    try:
        return decode(reply.get("value"))
    except (ValueError, RecursionError):
        raise LearnerError("its process sent nonsense") from None


def frames_in(value: Any) -> Frames:
    """Frames, each with its port."""
    frames = []
    for item in typed(value, list):
        if len(typed(item, list)) != 2:
            raise LearnerError("its process sent nonsense")
        port, frame = item
        try:
            frames.append((typed(port, str), bytes.fromhex(typed(frame, str))))
        except ValueError:
            raise LearnerError("its process sent nonsense") from None
    return frames

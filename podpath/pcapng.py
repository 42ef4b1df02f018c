"""Captures as files that Wireshark opens (pcapng, draft-ietf-opsawg-pcapng). Pure: bytes, not files."""

import struct
from collections.abc import Iterable

from podpath.journey import Captured

_ETHERNET = 1  # LINKTYPE_ETHERNET
_IF_NAME, _IF_TSRESOL, _EPB_FLAGS = 2, 9, 2
_INBOUND, _OUTBOUND = 1, 2


def pcapng(frames: Iterable[Captured]) -> bytes:
    """One section, with one interface for each that frames were seen at, called `host:interface`."""
    blocks = [_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    numbers: dict[str, int] = {}
    for seen in frames:
        name = f"{seen.place.host}:{seen.place.interface}"
        if name not in numbers:
            numbers[name] = len(numbers)
            options = _option(_IF_NAME, name.encode()) + _option(_IF_TSRESOL, b"\x09") + _option(0, b"")
            blocks.append(_block(1, struct.pack("<HHI", _ETHERNET, 0, 0) + options))
        time = round(seen.time * 1e9)
        head = struct.pack("<IIIII", numbers[name], time >> 32, time & 0xFFFFFFFF, len(seen.frame), len(seen.frame))
        direction = struct.pack("<I", _OUTBOUND if seen.place.outgoing else _INBOUND)
        blocks.append(_block(6, head + _padded(seen.frame) + _option(_EPB_FLAGS, direction) + _option(0, b"")))
    return b"".join(blocks)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)

"""Removes an aged entry only when it stumbles over it, and drops frames that no real station can send."""

from typing import NamedTuple

Frames = list[tuple[str, bytes]]
CAPACITY = 4096
NOBODY = bytes(6)


class Entry(NamedTuple):
    port: str
    heard: float


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self._ports = frozenset(ports)
        self._ageing = ageing
        self._entries: dict[bytes, Entry] = {}

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        if port not in self._ports or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]
        if source[0] & 1 or source == NOBODY:
            return []
        if self._has_room_for(source, now):
            self._entries[source] = Entry(port, now)
        if destination[:5] == b"\x01\x80\xc2\0\0" and destination[5] < 0x10:
            return []
        entry = self._live(destination, now)
        outputs = {entry.port} if entry else self._ports
        return [(out, frame) for out in outputs - {port}]

    def _live(self, mac: bytes, now: float) -> Entry | None:
        entry = self._entries.get(mac)
        if entry and now - entry.heard > self._ageing:
            del self._entries[mac]
            return None
        return entry

    def _has_room_for(self, mac: bytes, now: float) -> bool:
        if mac in self._entries or len(self._entries) < CAPACITY:
            return True
        return any(self._live(old, now) is None for old in list(self._entries))

"""Keeps its entries in a list, and walks along it for every look-up."""

from dataclasses import dataclass


@dataclass
class Entry:
    mac: bytes
    port: str
    heard: float


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0):
        self.ports = ports
        self.ageing = ageing
        self.entries: list[Entry] = []

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.ports:
            return []
        if len(frame) < 14:
            return []
        dst, src = frame[:6], frame[6:12]

        # A group address is never a station.
        if src[0] % 2 == 0:
            self.learn(src, port, now)

        if dst[:5] == bytes.fromhex("0180c20000") and dst[5] < 16:
            return []

        entry = self.find(dst)
        if entry is None or now - entry.heard > self.ageing:
            return [(p, frame) for p in self.ports if p != port]
        if entry.port == port:
            return []
        return [(entry.port, frame)]

    def find(self, mac: bytes) -> Entry | None:
        for entry in self.entries:
            if entry.mac == mac:
                return entry
        return None

    def learn(self, mac: bytes, port: str, now: float) -> None:
        entry = self.find(mac)
        if entry is not None:
            entry.port = port
            entry.heard = now
            return
        if len(self.entries) >= 4096:
            self.entries = [old for old in self.entries if now - old.heard <= self.ageing]
        if len(self.entries) < 4096:
            self.entries.append(Entry(mac, port, now))

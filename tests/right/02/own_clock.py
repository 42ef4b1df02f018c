"""Starts a clock of its own at the first frame or tick and counts whole milliseconds from there."""


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = ports
        self.ageing_ms = round(ageing * 1000)
        self.started: float | None = None
        self.clock = 0
        self.table: dict[bytes, list] = {}  # MAC -> [port, when it was heard, on our own clock]

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        self.advance(now)
        if port not in self.ports or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]

        if source[0] & 1 == 0:
            entry = self.table.get(source)
            if entry:
                entry[:] = [port, self.clock]
            elif self.room():
                self.table[source] = [port, self.clock]

        if destination[:5] == b"\x01\x80\xc2\x00\x00" and destination[5] & 0xF0 == 0:
            return []
        entry = self.table.get(destination)
        if entry is None or self.too_old(entry):
            return [(other, frame) for other in self.ports if other != port]
        if entry[0] == port:
            return []
        return [(entry[0], frame)]

    def tick(self, now: float) -> list[tuple[str, bytes]]:
        self.advance(now)
        return []

    def advance(self, now: float) -> None:
        if self.started is None:
            self.started = now
        self.clock = round((now - self.started) * 1000)

    def too_old(self, entry: list) -> bool:
        return self.clock - entry[1] > self.ageing_ms

    def room(self) -> bool:
        if len(self.table) >= 4096:
            self.table = {mac: entry for mac, entry in self.table.items() if not self.too_old(entry)}
        return len(self.table) < 4096

"""Splits the work into parse, learn, look up, filter and flood, and keeps the table in a class of its own."""

from dataclasses import dataclass

Frames = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Header:
    destination: bytes
    source: bytes

    @classmethod
    def of(cls, frame: bytes) -> "Header | None":
        return cls(frame[:6], frame[6:12]) if len(frame) >= 14 else None


class ForwardingTable:
    """Which station is behind which port, for as long as it speaks now and then."""

    def __init__(self, size: int, ageing: float) -> None:
        self.size = size
        self.ageing = ageing
        self.rows: dict[bytes, tuple[str, float]] = {}

    def learn(self, mac: bytes, port: str, now: float) -> None:
        if mac not in self.rows:
            self.make_room(now)
        if mac in self.rows or len(self.rows) < self.size:
            self.rows[mac] = (port, now + self.ageing)

    def find(self, mac: bytes, now: float) -> str | None:
        port, expires = self.rows.get(mac, ("", now))
        return port if now < expires else None

    def make_room(self, now: float) -> None:
        if len(self.rows) >= self.size:
            self.rows = {mac: row for mac, row in self.rows.items() if now < row[1]}


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = ports
        self.table = ForwardingTable(4096, ageing)

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        header = Header.of(frame)
        if header is None or port not in self.ports:
            return []
        self.learn(header.source, port, now)
        return self.forward(header.destination, port, frame, now)

    def learn(self, source: bytes, port: str, now: float) -> None:
        if not self.is_group(source):
            self.table.learn(source, port, now)

    def forward(self, destination: bytes, port: str, frame: bytes, now: float) -> Frames:
        if self.is_reserved(destination):
            return []
        if self.is_group(destination):
            return self.flood(port, frame)
        out = self.table.find(destination, now)
        if out is None:
            return self.flood(port, frame)
        return self.unicast(out, port, frame)

    def unicast(self, out: str, port: str, frame: bytes) -> Frames:
        return [(out, frame)] if out != port else []

    def flood(self, port: str, frame: bytes) -> Frames:
        return [(other, frame) for other in self.ports if other != port]

    @staticmethod
    def is_group(mac: bytes) -> bool:
        return bool(mac[0] & 1)

    @staticmethod
    def is_reserved(mac: bytes) -> bool:
        return mac[:-1] == bytes.fromhex("01 80 c2 00 00") and mac[-1] in range(0x10)

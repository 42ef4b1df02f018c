"""Drops broadcast and multicast, because no station has such an address.

caught-by: flood-group
says: left by no port
cites: BR-05
"""

from typing import NamedTuple

CAPACITY = 4096


class Row(NamedTuple):
    port: str
    expires: float


class Table:
    """Which station is behind which port."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}

    def put(self, mac: bytes, row: Row, now: float) -> None:
        if mac not in self.rows and len(self.rows) >= CAPACITY:
            self.drop_expired(now)
        if mac in self.rows or len(self.rows) < CAPACITY:
            self.rows[mac] = row

    def find(self, mac: bytes, now: float) -> str | None:
        row = self.rows.get(mac)
        return row.port if row and now < row.expires else None

    def drop_expired(self, now: float) -> None:
        self.rows = {mac: row for mac, row in self.rows.items() if now < row.expires}


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = set(ports)
        self.ageing = ageing
        self.table = Table()

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.ports or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]
        if not self.is_group(source):
            self.table.put(source, Row(port, now + self.ageing), now)
        if destination.startswith(b"\x01\x80\xc2\x00\x00") and destination[5] < 0x10:
            return []
        if self.is_group(destination):
            return []
        out = self.table.find(destination, now)
        if out is None:
            return self.flood(port, frame)
        return [(out, frame)] if out != port else []

    def flood(self, ingress: str, frame: bytes) -> list[tuple[str, bytes]]:
        return [(port, frame) for port in sorted(self.ports - {ingress})]

    @staticmethod
    def is_group(mac: bytes) -> bool:
        return bool(mac[0] & 1)

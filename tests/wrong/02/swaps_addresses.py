"""Takes the first six bytes for the source and the next six for the destination.

caught-by: learn-forward
says: has spoken on
"""

GROUP_BIT = 1 << 40
RESERVED_FIRST = 0x0180C2000000
RESERVED_LAST = 0x0180C200000F
TABLE_SIZE = 4096


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = ports
        self.ageing = ageing
        self.table: dict[int, tuple[str, float]] = {}

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.ports or len(frame) < 14:
            return []
        source = int.from_bytes(frame[0:6], "big")
        destination = int.from_bytes(frame[6:12], "big")
        if not source & GROUP_BIT:
            self.learn(source, port, now)
        if RESERVED_FIRST <= destination <= RESERVED_LAST:
            return []
        out = self.port_of(destination, now)
        if out is None:
            return [(other, frame) for other in self.ports if other != port]
        return [(out, frame)] if out != port else []

    def learn(self, mac: int, port: str, now: float) -> None:
        if mac not in self.table and len(self.table) >= TABLE_SIZE:
            self.purge(now)
        if mac in self.table or len(self.table) < TABLE_SIZE:
            self.table[mac] = (port, now)

    def port_of(self, mac: int, now: float) -> str | None:
        port, heard = self.table.get(mac, (None, now))
        return port if now - heard <= self.ageing else None

    def purge(self, now: float) -> None:
        for mac, (_, heard) in list(self.table.items()):
            if now - heard > self.ageing:
                del self.table[mac]

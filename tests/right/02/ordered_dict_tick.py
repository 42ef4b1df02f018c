"""Keeps stations in the order in which they were last heard, and forgets only in tick, from the front."""

from collections import OrderedDict

CAPACITY = 4096
RESERVED = frozenset(bytes.fromhex("0180c20000") + bytes([last]) for last in range(16))


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = ports
        self.ageing = ageing
        self.stations: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if len(frame) < 14 or port not in self.ports:
            return []
        destination, source = frame[:6], frame[6:12]
        if destination in RESERVED:
            return []
        self._learn(source, port, now)
        if destination not in self.stations:
            return [(other, frame) for other in self.ports if other != port]
        out, _ = self.stations[destination]
        return [] if out == port else [(out, frame)]

    def tick(self, now: float) -> list[tuple[str, bytes]]:
        while self.stations:
            _, heard = next(iter(self.stations.values()))
            if now - heard < self.ageing:
                break
            self.stations.popitem(last=False)
        return []

    def _learn(self, mac: bytes, port: str, now: float) -> None:
        if mac[0] & 1:
            return
        if mac in self.stations or len(self.stations) < CAPACITY:
            self.stations[mac] = (port, now)
            self.stations.move_to_end(mac)

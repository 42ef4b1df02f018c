"""Keeps a heap of the times at which entries may expire, and works it off in tick and before each frame."""

import heapq
from dataclasses import dataclass

Frames = list[tuple[str, bytes]]


@dataclass(slots=True)
class Station:
    port: str
    expires: float


class LearningBridge:
    CAPACITY = 4096

    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self._ports = ports
        self._ageing = ageing
        self._stations: dict[bytes, Station] = {}
        self._due: list[tuple[float, bytes]] = []  # one item per station; it may be earlier than the truth

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self._expire(now)
        if port not in self._ports or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]
        if not source[0] & 1:
            self._learn(source, port, now)
        return [(out, frame) for out in self._outputs(destination) if out != port]

    def tick(self, now: float) -> Frames:
        self._expire(now)
        return []

    def _learn(self, mac: bytes, port: str, now: float) -> None:
        station = self._stations.get(mac)
        if station is not None:
            station.port, station.expires = port, now + self._ageing
        elif len(self._stations) < self.CAPACITY:
            self._stations[mac] = Station(port, now + self._ageing)
            heapq.heappush(self._due, (now + self._ageing, mac))

    def _outputs(self, mac: bytes) -> list[str]:
        if int.from_bytes(mac, "big") >> 4 == 0x0180C200000:
            return []
        station = self._stations.get(mac)
        return self._ports if station is None else [station.port]

    def _expire(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, mac = self._due[0]
            station = self._stations[mac]
            if station.expires <= now:
                heapq.heappop(self._due)
                del self._stations[mac]
            else:
                heapq.heapreplace(self._due, (station.expires, mac))

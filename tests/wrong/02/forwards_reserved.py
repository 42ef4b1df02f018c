"""Floods the addresses 01:80:c2:00:00:00 to :0f like any other multicast.

caught-by: reserved
says: never forwarded
cites: BR-17
"""

from dataclasses import dataclass

Frames = list[tuple[str, bytes]]


@dataclass
class Station:
    port: str
    heard: float


class LearningBridge:
    CAPACITY = 4096
    HEADER = 14

    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self._ports = tuple(ports)
        self._ageing = ageing
        self._stations: dict[bytes, Station] = {}

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        if port not in self._ports or len(frame) < self.HEADER:
            return []
        destination, source = frame[:6], frame[6:12]
        self._learn(source, port, now)
        return [(out, frame) for out in self._outputs(destination, port, now)]

    def tick(self, now: float) -> Frames:
        self._purge(now)
        return []

    def _learn(self, mac: bytes, port: str, now: float) -> None:
        if mac[0] & 1:
            return
        station = self._stations.get(mac)
        if station is None:
            if self._has_room(now):
                self._stations[mac] = Station(port, now)
        else:
            station.port = port
            station.heard = now

    def _outputs(self, mac: bytes, ingress: str, now: float) -> list[str]:
        others = [port for port in self._ports if port != ingress]
        station = self._stations.get(mac)
        if station is None or self._aged(station, now):
            return others
        return [station.port] if station.port in others else []

    def _has_room(self, now: float) -> bool:
        if len(self._stations) >= self.CAPACITY:
            self._purge(now)
        return len(self._stations) < self.CAPACITY

    def _purge(self, now: float) -> None:
        for mac in [mac for mac, station in self._stations.items() if self._aged(station, now)]:
            del self._stations[mac]

    def _aged(self, station: Station, now: float) -> bool:
        return now - station.heard > self._ageing

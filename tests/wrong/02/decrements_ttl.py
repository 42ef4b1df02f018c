"""Counts the TTL of IPv4 packets down, as a router would.

caught-by: unchanged
says: frame unchanged
cites: MBR-17, BR-23
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
        outputs = self._outputs(destination, port, now)
        if frame[12:14] == b"\x08\x00" and len(frame) >= 34 and frame[22] > 0:
            frame = one_hop_less(frame)
        return [(out, frame) for out in outputs]

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
        if mac[:5] == b"\x01\x80\xc2\x00\x00" and mac[5] < 16:
            return []
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


def one_hop_less(frame: bytes) -> bytes:
    copy = bytearray(frame)
    copy[22] -= 1
    copy[24:26] = b"\x00\x00"
    copy[24:26] = checksum(bytes(copy[14 : 14 + (copy[14] & 0x0F) * 4]))
    return bytes(copy)


def checksum(header: bytes) -> bytes:
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2, "big")

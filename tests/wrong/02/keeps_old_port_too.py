"""Sends to every port at which a station has been heard, the one it has left included.

caught-by: moved
says: the newest source port wins
cites: BR-07
"""

from collections import defaultdict

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = ports
        self.ageing = ageing
        self.seen: dict[bytes, dict[str, float]] = defaultdict(dict)  # station -> {port: last heard}

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.ports or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]

        if source[0] & 1 == 0 and (source in self.seen or self.has_room(now)):
            self.seen[source][port] = now

        if destination in RESERVED:
            return []
        known = self.ports_of(destination, now) if destination in self.seen else []
        outputs = known or self.ports
        return [(out, frame) for out in outputs if out != port]

    def ports_of(self, mac: bytes, now: float) -> list[str]:
        return [port for port, heard in self.seen[mac].items() if now - heard <= self.ageing]

    def has_room(self, now: float) -> bool:
        if len(self.seen) >= 4096:
            for mac in [mac for mac in self.seen if not self.ports_of(mac, now)]:
                del self.seen[mac]
        return len(self.seen) < 4096

"""Uses __slots__, and puts a station that speaks at the end of its dict, so that the oldest comes first."""


class LearningBridge:
    __slots__ = ("_ageing", "_fdb", "_ports")

    _ROOM = 4096
    _LINK_LOCAL = b"\x01\x80\xc2\x00\x00"

    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self._ports = tuple(ports)
        self._ageing = ageing
        self._fdb: dict[bytes, tuple[str, float]] = {}  # the one that was silent longest comes first

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self._ports or len(frame) < 14:
            return []
        self._forget(now)
        destination, source = bytes(frame[:6]), bytes(frame[6:12])
        if not source[0] & 1:
            self._fdb.pop(source, None)
            if len(self._fdb) < self._ROOM:
                self._fdb[source] = (port, now)
        if destination[:5] == self._LINK_LOCAL and destination[5] <= 15:
            return []
        outputs = {self._fdb[destination][0]} if destination in self._fdb else set(self._ports)
        return [(out, frame) for out in sorted(outputs - {port})]

    def _forget(self, now: float) -> None:
        while self._fdb:
            oldest = next(iter(self._fdb))
            _, heard = self._fdb[oldest]
            if now - heard <= self._ageing:
                return
            del self._fdb[oldest]

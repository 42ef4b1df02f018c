"""Yields the frames one by one in a private generator, of which receive makes the list."""

from collections.abc import Iterator


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = dict.fromkeys(ports)
        self.ageing = ageing
        self.seen: dict[bytes, tuple[str, float]] = {}

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        return list(self._forward(port, frame, now))

    def _forward(self, port: str, frame: bytes, now: float) -> Iterator[tuple[str, bytes]]:
        if port not in self.ports or len(frame) < 14:
            return
        destination, source = frame[:6], frame[6:12]
        if not source[0] & 1 and (source in self.seen or self._free(now)):
            self.seen[source] = (port, now)
        match tuple(destination):
            case (0x01, 0x80, 0xC2, 0x00, 0x00, last) if last < 0x10:
                return
            case _ if destination in self.seen and not self._aged(destination, now):
                out, _heard = self.seen[destination]
                if out != port:
                    yield out, frame
            case _:
                for out in self.ports:
                    if out != port:
                        yield out, frame

    def _aged(self, mac: bytes, now: float) -> bool:
        return now - self.seen[mac][1] >= self.ageing

    def _free(self, now: float) -> bool:
        if len(self.seen) >= 4096:
            for mac in [mac for mac in self.seen if self._aged(mac, now)]:
                del self.seen[mac]
        return len(self.seen) < 4096

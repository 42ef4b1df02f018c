"""Starts from a hub and overrides only the choice of the ports that a frame leaves by."""

from collections.abc import Iterable


class Hub:
    """Repeats every frame out of every other port."""

    def __init__(self, ports: list[str]) -> None:
        self.ports = ports

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.ports or len(frame) < 14:
            return []
        return [(out, frame) for out in self.outputs(port, frame, now) if out != port]

    def outputs(self, port: str, frame: bytes, now: float) -> Iterable[str]:
        return self.ports


class LearningBridge(Hub):
    """A hub that remembers who is where."""

    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        super().__init__(ports)
        self.ageing = ageing
        self.place: dict[bytes, str] = {}
        self.heard: dict[bytes, float] = {}

    def outputs(self, port: str, frame: bytes, now: float) -> Iterable[str]:
        destination, source = frame[:6], frame[6:12]
        if not source[0] & 0x01:
            self.remember(source, port, now)
        if destination.startswith(b"\x01\x80\xc2\x00\x00") and destination[5] >> 4 == 0:
            return ()
        if destination in self.place:
            if now < self.heard[destination] + self.ageing:
                return (self.place[destination],)
            self.forget(destination)
        return super().outputs(port, frame, now)

    def remember(self, mac: bytes, port: str, now: float) -> None:
        if mac not in self.place and len(self.place) == 4096:
            for old in [old for old, heard in self.heard.items() if now >= heard + self.ageing]:
                self.forget(old)
            if len(self.place) == 4096:
                return
        self.place[mac] = port
        self.heard[mac] = now

    def forget(self, mac: bytes) -> None:
        del self.place[mac], self.heard[mac]

"""Repeats every frame out of every other port and learns nothing.

caught-by: learn-forward
says: a hub sends every frame everywhere
"""


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.ports = ports

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.ports or len(frame) < 14:
            return []
        if frame[:5] == b"\x01\x80\xc2\x00\x00" and frame[5] < 16:
            return []
        return [(other, frame) for other in self.ports if other != port]

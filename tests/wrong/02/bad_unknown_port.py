"""Numbers the ports from 1 and sends to names such as port1, which do not exist.

caught-by: flood-unknown
says: which there is not
"""


class LearningBridge:
    def __init__(self, ports: list[str], ageing: float = 300.0) -> None:
        self.numbers = {port: number for number, port in enumerate(ports, start=1)}
        self.ageing = ageing
        self.table: dict[bytes, tuple[int, float]] = {}

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        if port not in self.numbers or len(frame) < 14:
            return []
        ingress = self.numbers[port]
        destination, source = frame[:6], frame[6:12]
        if source[0] & 1 == 0:
            self.table[source] = (ingress, now)
        out, heard = self.table.get(destination, (0, now))
        outputs = [out] if out and now - heard <= self.ageing else self.numbers.values()
        return [(f"port{number}", frame) for number in outputs if number != ingress]

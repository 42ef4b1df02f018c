"""Has a receive that takes no time.

caught-by: flood-unknown
says: positional arguments
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame):
        if port not in self.ports or len(frame) < 14:
            return []
        dst, src = frame[:6], frame[6:12]
        if src[0] & 1 == 0:
            self.table[src] = port
        if dst in RESERVED:
            return []
        if dst in self.table:
            return [(self.table[dst], frame)] if self.table[dst] != port else []
        return [(p, frame) for p in self.ports if p != port]

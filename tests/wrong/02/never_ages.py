"""Never forgets a station.

caught-by: ageing
says: has been silent for
cites: BR-20
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        if port not in self.ports:
            return []
        if len(frame) < 14:
            return []
        dst = frame[:6]
        src = frame[6:12]

        if src[0] & 1 == 0 and (src in self.table or len(self.table) < 4096):
            self.table[src] = port

        if dst in RESERVED:
            return []
        if dst in self.table:
            if self.table[dst] == port:
                return []
            return [(self.table[dst], frame)]
        return [(p, frame) for p in self.ports if p != port]

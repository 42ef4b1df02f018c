"""Has no limit on its table, which grows with every source address.

caught-by: full-table
says: at most 4096
cites: BR-39
"""


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]
        if source[0] & 1 == 0:
            self.table[source] = (port, now)
        if destination[:5] == bytes.fromhex("0180c20000") and destination[5] < 16:
            return []
        if destination in self.table:
            out, heard = self.table[destination]
            if now - heard <= self.ageing:
                return [(out, frame)] if out != port else []
        return [(other, frame) for other in self.ports if other != port]

"""Has a single timer, which any traffic restarts, and forgets all stations when it runs out.

caught-by: silence
says: only frames from
cites: BR-21
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}
        self.last_traffic = None

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        if self.last_traffic is not None and now - self.last_traffic > self.ageing:
            self.table.clear()
        self.last_traffic = now

        dst, src = frame[:6], frame[6:12]
        if src[0] & 1 == 0 and (src in self.table or len(self.table) < 4096):
            self.table[src] = port

        if dst in RESERVED:
            return []
        out = self.table.get(dst)
        if out is None:
            return [(p, frame) for p in self.ports if p != port]
        return [] if out == port else [(out, frame)]

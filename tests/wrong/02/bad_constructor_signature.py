"""Has a constructor without parameters, and expects its ports one by one.

caught-by: flood-unknown
says: positional argument
"""


class LearningBridge:
    def __init__(self):
        self.ports = []
        self.ageing = 300.0
        self.table = {}

    def add_port(self, port):
        self.ports.append(port)

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        dst, src = frame[:6], frame[6:12]
        if src[0] & 1 == 0:
            self.table[src] = (port, now)
        out, heard = self.table.get(dst, (None, now))
        if out is None or now - heard > self.ageing:
            return [(p, frame) for p in self.ports if p != port]
        return [(out, frame)] if out != port else []

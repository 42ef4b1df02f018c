"""Yields the frames, so that receive returns a generator where a list is asked for.

caught-by: flood-unknown
says: must return a list
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return
        dst, src = frame[:6], frame[6:12]
        if src[0] & 1 == 0 and (src in self.table or len(self.table) < 4096):
            self.table[src] = (port, now)
        if dst in RESERVED:
            return
        out, heard = self.table.get(dst, (None, now))
        for p in self.ports:
            if p != port and (out is None or out == p or now - heard > self.ageing):
                yield p, frame

"""Returns the name of the port to send to, or the word flood.

caught-by: flood-unknown
says: must return a list
"""


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        if len(frame) < 14:
            return "drop"
        dst, src = frame[:6], frame[6:12]
        if src[0] & 1 == 0:
            self.table[src] = (port, now)
        out, heard = self.table.get(dst, (None, now))
        if out is None or now - heard > self.ageing:
            return "flood"
        return out if out != port else "drop"

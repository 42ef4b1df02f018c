"""Returns the numbers of the ports to send to, without the frame.

caught-by: flood-unknown
says: each item must be a pair
"""


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        ingress = self.ports.index(port)
        dst, src = frame[:6], frame[6:12]
        if src[0] & 1 == 0:
            self.table[src] = (ingress, now)
        if dst in self.table and now - self.table[dst][1] <= self.ageing:
            outputs = [self.table[dst][0]]
        else:
            outputs = range(len(self.ports))
        return [number for number in outputs if number != ingress]

"""Takes every tick for a second, so that entries expire ten times too early.

caught-by: ageing
says: is still known
cites: BR-20
"""


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.port_of = {}
        self.seconds_left = {}

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        dst, src = frame[0:6], frame[6:12]
        if src[0] & 1 == 0 and (src in self.port_of or len(self.port_of) < 4096):
            self.port_of[src] = port
            self.seconds_left[src] = self.ageing
        if dst[:5] == b"\x01\x80\xc2\x00\x00" and dst[5] < 16:
            return []
        if dst not in self.port_of:
            return [(p, frame) for p in self.ports if p != port]
        if self.port_of[dst] == port:
            return []
        return [(self.port_of[dst], frame)]

    def tick(self, now):
        for mac in list(self.seconds_left):
            self.seconds_left[mac] -= 1
            if self.seconds_left[mac] < 0:
                del self.seconds_left[mac]
                del self.port_of[mac]
        return []

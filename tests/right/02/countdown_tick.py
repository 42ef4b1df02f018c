"""Counts every entry down in tick, by the time that really passed since the last call."""


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = list(ports)
        self.ageing = ageing
        self.port_of = {}
        self.seconds_left = {}
        self.last_call = None

    def receive(self, port, frame, now):
        self.tick(now)
        if port not in self.ports or len(frame) < 14:
            return []
        dst, src = frame[0:6], frame[6:12]
        group_source = src[0] & 1
        if not group_source and (src in self.port_of or len(self.port_of) < 4096):
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
        if self.last_call is None:
            self.last_call = now
        passed = now - self.last_call
        if passed > 0:
            self.last_call = now
            for mac in list(self.seconds_left):
                self.seconds_left[mac] -= passed
                if self.seconds_left[mac] <= 0:
                    del self.seconds_left[mac]
                    del self.port_of[mac]
        return []

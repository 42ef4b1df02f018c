"""Remembers one station per port, so that the second behind a port displaces the first.

caught-by: learn-forward
says: behind the same port
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.station_at = {}  # port -> (MAC address, last heard)

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        dst, src = frame[:6], frame[6:12]

        if src[0] & 1 == 0:
            old_port = self.find(src, now)
            if old_port is not None:
                del self.station_at[old_port]
            self.station_at[port] = (src, now)

        if dst in RESERVED:
            return []
        out = self.find(dst, now)
        if out == port:
            return []
        if out is not None:
            return [(out, frame)]
        return [(p, frame) for p in self.ports if p != port]

    def find(self, mac, now):
        for port, (station, heard) in self.station_at.items():
            if station == mac and now - heard <= self.ageing:
                return port
        return None

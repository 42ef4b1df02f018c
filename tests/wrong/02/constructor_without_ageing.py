"""Has a constructor that takes the ports but no ageing time.

caught-by: ageing
says: unexpected keyword argument 'ageing'
cites: BR-20
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports):
        self.ports = ports
        self.ageing = 300
        self.port_of = {}
        self.last_heard = {}

    def receive(self, port, frame, now):
        if port not in self.ports:
            return []
        if len(frame) < 14:
            return []
        dst = frame[:6]
        src = frame[6:12]

        # forget everybody who has been quiet for too long
        quiet = [mac for mac, heard in self.last_heard.items() if now - heard > self.ageing]
        for mac in quiet:
            del self.port_of[mac]
            del self.last_heard[mac]

        # learn
        if src[0] & 1 == 0 and (src in self.port_of or len(self.port_of) < 4096):
            self.port_of[src] = port
            self.last_heard[src] = now

        # forward
        if dst in RESERVED:
            return []
        if dst in self.port_of:
            out = self.port_of[dst]
            return [] if out == port else [(out, frame)]
        return [(p, frame) for p in self.ports if p != port]

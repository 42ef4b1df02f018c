"""Keeps the table in global variables, so that all bridges share one.

caught-by: learn-forward
says: two bridges
"""

RESERVED = [bytes.fromhex("0180c20000") + bytes([last]) for last in range(16)]

port_of = {}
last_heard = {}


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing

    def receive(self, port, frame, now):
        if port not in self.ports:
            return []
        if len(frame) < 14:
            return []
        dst = frame[:6]
        src = frame[6:12]

        # forget everybody who has been quiet for too long
        quiet = [mac for mac, heard in last_heard.items() if now - heard > self.ageing]
        for mac in quiet:
            del port_of[mac]
            del last_heard[mac]

        # learn
        if src[0] & 1 == 0 and (src in port_of or len(port_of) < 4096):
            port_of[src] = port
            last_heard[src] = now

        # forward
        if dst in RESERVED:
            return []
        if dst in port_of:
            out = port_of[dst]
            return [] if out == port else [(out, frame)]
        return [(p, frame) for p in self.ports if p != port]

"""Prints a megabyte for every frame and is a correct bridge otherwise."""

RESERVED = [bytes([0x01, 0x80, 0xC2, 0x00, 0x00, last]) for last in range(16)]


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        print("got a frame on", port, "at", now, frame.hex() * (1_000_000 // (2 * len(frame) + 1)))
        if port not in self.ports or len(frame) < 14:
            return []
        dst, src = frame[:6], frame[6:12]
        if not src[0] & 1 and self.has_room(src, now):
            self.table[src] = port, now
        if dst in RESERVED:
            return []
        if dst in self.table:
            out, heard = self.table[dst]
            if now - heard <= self.ageing:
                return [(out, frame)] if out != port else []
        return [(p, frame) for p in self.ports if p != port]

    def has_room(self, mac, now):
        if mac in self.table or len(self.table) < 4096:
            return True
        for old, (_, heard) in list(self.table.items()):
            if now - heard > self.ageing:
                del self.table[old]
        return len(self.table) < 4096

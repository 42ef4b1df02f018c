"""Turns addresses into the usual text with colons and compares that."""

RESERVED = [f"01:80:c2:00:00:{last:02x}" for last in range(16)]
BROADCAST = "ff:ff:ff:ff:ff:ff"


def text(mac):
    return ":".join(f"{byte:02x}" for byte in mac)


def is_group(mac):
    return int(mac[:2], 16) % 2 == 1


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = ports
        self.ageing = ageing
        self.table = {}

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []
        dst = text(frame[0:6])
        src = text(frame[6:12])
        others = [p for p in self.ports if p != port]

        if not is_group(src):
            self.remember(src, port, now)

        if dst in RESERVED:
            outputs = []
        elif dst == BROADCAST or is_group(dst):
            outputs = others
        elif dst in self.table and self.table[dst]["expires"] > now:
            outputs = [p for p in others if p == self.table[dst]["port"]]
        else:
            outputs = others
        return [(p, frame) for p in outputs]

    def remember(self, mac, port, now):
        if mac not in self.table and len(self.table) >= 4096:
            expired = [old for old in self.table if self.table[old]["expires"] <= now]
            for old in expired:
                del self.table[old]
        if mac in self.table or len(self.table) < 4096:
            self.table[mac] = {"port": port, "expires": now + self.ageing}

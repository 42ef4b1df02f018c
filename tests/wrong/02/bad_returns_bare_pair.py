"""Returns a bare pair, not a list with one pair in it, when it knows the destination.

caught-by: learn-forward
says: not a list of pairs
"""

MAX_ENTRIES = 4096


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ports = list(ports)
        self.ageing = ageing
        self.table = {}  # MAC address -> (port, when we last heard it)

    def receive(self, port, frame, now):
        if port not in self.ports or len(frame) < 14:
            return []

        destination = frame[0:6]
        source = frame[6:12]

        if not is_group(source):
            self.learn(source, port, now)

        if is_reserved(destination):
            return []

        known_port = self.lookup(destination, now)
        if known_port is None:
            return self.flood(port, frame)
        if known_port == port:
            return []
        return (known_port, frame)

    def learn(self, mac, port, now):
        if mac not in self.table and len(self.table) >= MAX_ENTRIES:
            self.forget_expired(now)
            if len(self.table) >= MAX_ENTRIES:
                return
        self.table[mac] = (port, now)

    def lookup(self, mac, now):
        if mac not in self.table:
            return None
        port, heard = self.table[mac]
        if now - heard > self.ageing:
            return None
        return port

    def forget_expired(self, now):
        self.table = {mac: entry for mac, entry in self.table.items() if now - entry[1] <= self.ageing}

    def flood(self, ingress, frame):
        return [(port, frame) for port in self.ports if port != ingress]


def is_group(mac):
    return mac[0] & 1 == 1


def is_reserved(mac):
    return mac[:5] == b"\x01\x80\xc2\x00\x00" and mac[5] <= 0x0F

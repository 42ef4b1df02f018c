"""Has a table for each port and leaves a station that moved in the table of its old port.

caught-by: moved
says: the newest source port wins
cites: MBR-06, BR-07
"""

LIMIT = 4096


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ageing = ageing
        self.behind = {port: {} for port in ports}  # port -> {station: last heard}

    def receive(self, port, frame, now):
        if port not in self.behind or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]

        if source[0] & 1 == 0 and (self.find(source, now) or self.has_room(now)):
            self.behind[port][source] = now

        if destination[:5] == b"\x01\x80\xc2\x00\x00" and destination[5] < 16:
            return []
        where = self.find(destination, now)
        if where is None:
            return [(other, frame) for other in self.behind if other != port]
        return [(where, frame)] if where != port else []

    def find(self, station, now):
        for port, stations in self.behind.items():
            if station in stations and now - stations[station] <= self.ageing:
                return port
        return None

    def has_room(self, now):
        if self.size() >= LIMIT:
            for port, stations in self.behind.items():
                self.behind[port] = {mac: at for mac, at in stations.items() if now - at <= self.ageing}
        return self.size() < LIMIT

    def size(self):
        return sum(len(stations) for stations in self.behind.values())

"""Has one small table for each port instead of one for the whole bridge."""

LIMIT = 4096


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        self.ageing = ageing
        self.behind = {port: {} for port in ports}  # port -> {station: last heard}

    def receive(self, port, frame, now):
        if port not in self.behind or len(frame) < 14:
            return []
        destination, source = frame[:6], frame[6:12]
        everybody_else = [other for other in self.behind if other != port]

        if source[0] & 1 == 0:
            self.learn(port, source, now)
        if destination[0] & 1:
            if b"\x01\x80\xc2\x00\x00\x00" <= destination <= b"\x01\x80\xc2\x00\x00\x0f":
                return []
            return [(other, frame) for other in everybody_else]

        where = self.find(destination, now)
        if where is None:
            return [(other, frame) for other in everybody_else]
        return [(where, frame)] if where != port else []

    def find(self, station, now):
        for port, stations in self.behind.items():
            if station in stations and now - stations[station] <= self.ageing:
                return port
        return None

    def learn(self, port, station, now):
        if station in self.behind[port]:
            self.behind[port][station] = now
            return
        for stations in self.behind.values():
            stations.pop(station, None)
        if self.size() >= LIMIT:
            self.purge(now)
        if self.size() < LIMIT:
            self.behind[port][station] = now

    def size(self):
        return sum(len(stations) for stations in self.behind.values())

    def purge(self, now):
        for port, stations in self.behind.items():
            self.behind[port] = {mac: heard for mac, heard in stations.items() if now - heard <= self.ageing}

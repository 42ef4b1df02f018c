"""Is written as functions and has no class at all.

caught-by: flood-unknown
says: class LearningBridge
"""

PORTS = ["port1", "port2", "port3", "port4"]
AGEING = 300.0
table = {}


def receive(port, frame, now):
    if port not in PORTS or len(frame) < 14:
        return []
    dst, src = frame[:6], frame[6:12]
    if src[0] & 1 == 0:
        table[src] = (port, now)
    out = lookup(dst, now)
    if out is None:
        return [(p, frame) for p in PORTS if p != port]
    return [(out, frame)] if out != port else []


def lookup(mac, now):
    port, heard = table.get(mac, (None, now))
    return port if now - heard <= AGEING else None

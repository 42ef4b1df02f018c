"""tries: returns a list of its own kind, which never ends
earns: 0
says: still running after 2 s
"""

import itertools


class Endless(list):
    def __iter__(self):
        return itertools.repeat(("x", b"x"))

    def __len__(self):
        return 1


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        pass

    def receive(self, port, frame, now):
        return Endless()

"""tries: raises an error whose text, name and traceback raise in their turn
earns: 0
says: its process ended
"""

class Nasty(BaseException):
    def __str__(self):
        raise self

    __repr__ = __str__

    @property
    def __traceback__(self):
        raise self


class LearningBridge:
    def __init__(self, ports, ageing=300.0):
        raise Nasty

    def receive(self, port, frame, now):
        raise Nasty

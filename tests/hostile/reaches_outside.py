"""tries: connects to an address outside, and asks a name server
earns: 0
says: unreachable
"""

import socket

for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as attempt:
        attempt.connect(("198.51.100.1", 53))

"""tries: connects to a server of the grading machine, by every address it may have
earns: 0
says: nobody there
"""

import socket

said = []
for family, address in (
    (socket.AF_INET, ("127.0.0.1", @PORT@)),
    (socket.AF_INET6, ("::1", @PORT@)),
    (socket.AF_INET, ("10.0.2.2", @PORT@)),
    (socket.AF_INET, ("192.168.0.1", @PORT@)),
    (socket.AF_UNIX, "\0@SOCKET@"),
):
    with socket.socket(family) as attempt:
        attempt.settimeout(0.5)
        try:
            attempt.connect(address)
            said.append(f"CONNECTED to {address}")
        except OSError as error:
            pass
raise OSError(said or "nobody there")

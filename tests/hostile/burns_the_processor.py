"""tries: computes for ever, and catches whatever tries to stop it
earns: 0
says: still running after 5 s
"""

import signal

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass

"""tries: writes one file that never ends
earns: 0
says: File too large
"""

import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open("/tmp/large", "wb", buffering=0) as file:
    while file.write(bytes(1 << 20)):
        pass

"""tries: kills the processes above it
earns: 0
says: still here
"""

import os
import signal
import time

for _ in range(20):
    for victim in (os.getppid(), 1, 0x7FFFFFFF):
        try:
            if victim != os.getpid():
                os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(0.01)
raise RuntimeError("still here")

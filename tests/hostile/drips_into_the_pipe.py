"""tries: answers one byte at a time, so that there is always something to wait for
earns: 0
says: still running after 5 s
"""

import os
import stat
import time

for descriptor in range(64):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.write(descriptor, (1 << 20).to_bytes(4, "big"))
            while True:
                os.write(descriptor, b" ")
                time.sleep(0.01)
    except OSError:
        pass

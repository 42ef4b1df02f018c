"""tries: answers with lists in lists in lists
earns: 0
says: nonsense
"""

import os
import stat

DEEP = b"[" * 1_000_000 + b"]" * 1_000_000
for descriptor in range(64):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.write(descriptor, len(DEEP).to_bytes(4, "big"))
            sent = 0
            while sent < len(DEEP):
                sent += os.write(descriptor, DEEP[sent:])
    except OSError:
        pass

"""tries: answers with numbers that are none, and with one of a million digits
earns: 0
says: nonsense
"""

import os
import stat

ODD = b'{"errors": [NaN, Infinity, -Infinity, 1' + b"0" * 1_000_000 + b"]}"
for descriptor in range(64):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            os.write(descriptor, len(ODD).to_bytes(4, "big"))
            sent = 0
            while sent < len(ODD):
                sent += os.write(descriptor, ODD[sent:])
    except OSError:
        pass

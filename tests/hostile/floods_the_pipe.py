"""tries: writes to the checker without end
earns: 0
says: nonsense
"""

import os
import stat

for descriptor in range(64):
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            while True:
                os.write(descriptor, b"x" * 65536)
    except OSError:
        pass

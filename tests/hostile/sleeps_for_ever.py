"""tries: does nothing, for ever
earns: 0
says: still running after 5 s
"""

import time

time.sleep(1e9)

"""tries: kills every process that it may, and every group
earns: 0
says: No such process
"""

import os
import signal

os.kill(-1, signal.SIGKILL)
os.kill(-1, signal.SIGSTOP)
os.killpg(0, signal.SIGKILL)

"""tries: stops, as after Ctrl-Z, so that nobody sees it end
earns: 0
says: still running after 5 s
"""

import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)

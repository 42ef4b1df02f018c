"""tries: leaves a process behind that waits for the next submission, by way of a shell
earns: 0
says: its process ended
"""

import os

os.execv("/bin/sh", ["sh", "-c", "(trap '' HUP TERM; while :; do sleep 1; done) & : @MARKER@; sleep 0.1"])

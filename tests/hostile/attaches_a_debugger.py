"""tries: attaches to the process above it with ptrace, and reads its memory
earns: 0
says: Operation not permitted
"""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for victim in (1, os.getppid()):
    if libc.ptrace(16, victim, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

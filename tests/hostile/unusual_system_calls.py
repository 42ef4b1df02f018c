"""tries: asks the kernel for what has been a way out of jails before: bpf, io_uring, keyrings, perf
earns: 0
says: all refused
"""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
CALLS = (321, 425, 323, 298, 250, 248, 310, 246, 304, 135) if "x86_64" == __import__("os").uname().machine else (280, 425, 282, 241, 219, 217, 270, 104, 265, 92)
got = [number for number in CALLS if libc.syscall(number, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != 1]
raise OSError(f"GOT {got}" if got else "all refused")

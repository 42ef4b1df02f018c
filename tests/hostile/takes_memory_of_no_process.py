"""tries: takes memory that counts as nobody's: System V shared memory, memfd, POSIX shared memory
earns: 0
says: nobody's memory
"""

import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)
got = []
for number in range(200):
    segment = libc.shmget(0, 1 << 28, 0o1600)
    if segment >= 0:
        got.append("shmget")
    try:
        os.memfd_create("x")
        got.append("memfd")
    except OSError:
        pass
    try:
        with open(f"/dev/shm/{number}", "wb") as file:
            file.write(bytes(1 << 20))
        got.append("/dev/shm")
    except OSError:
        pass
if not got:
    raise MemoryError("nobody's memory")
raise RuntimeError(f"GOT {set(got)}")

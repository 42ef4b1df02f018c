"""tries: becomes root in a namespace of its own, by unshare, clone and setns
earns: 0
says: Operation not permitted
"""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
for attempt in (
    lambda: libc.unshare(CLONE_NEWUSER | CLONE_NEWNS),
    lambda: libc.syscall(56, CLONE_NEWUSER | 17, 0, 0, 0, 0),
    lambda: libc.setns(os.open("/proc/1/ns/user", os.O_RDONLY), 0),
    lambda: libc.mount(b"/", b"/tmp", None, 4096, None),
    lambda: libc.chroot(b"/tmp"),
):
    if attempt() >= 0:
        raise RuntimeError("OUT")
raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

"""tries: goes through /proc to other processes' files and memory, and to the kernel's parameters
earns: 0
says: no way out
"""

import os

got = []
for path in ("/proc/1/root/etc/passwd", "/proc/1/mem", "/proc/1/cwd/gradebook.db", "/proc/self/root/etc/shadow", "/proc/kcore",
             "/proc/1/environ", "/proc/1/map_files"):
    try:
        if os.path.isdir(path):
            got += os.listdir(path) and [path]
        else:
            with open(path, "rb") as file:
                got += file.read(16).strip(b"\0") and [path]
    except OSError:
        pass
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
             "/proc/1/oom_score_adj", "/proc/self/uid_map", "/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper"):
    try:
        with open(path, "r+b") as file:
            file.write(b"x")
        got.append(path)
    except OSError:
        pass
raise OSError(f"GOT {got}" if got else "no way out")

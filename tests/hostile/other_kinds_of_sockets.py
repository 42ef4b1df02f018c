"""tries: opens sockets that do not end at a network namespace: to the hypervisor, to the kernel's own services
earns: 0
says: no such kind
"""

import socket

got = []
for family in range(64):
    if family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
                got.append(family)
            except OSError:
                pass
raise OSError(f"GOT {got}" if got else "no such kind")

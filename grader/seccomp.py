"""Which system calls the kernel refuses in the jail: a filter (seccomp(2)), for `bwrap --seccomp`.

The walls of the jail are namespaces, a file system of its own, and limits. Two things they leave open, on some machines
or for some users, and the filter closes them everywhere alike:

* Processes. Where root does the grading, the kernel sets no limit to the number of a program's processes; and each has
  the limits on memory and time all to itself. A datapath needs none: `fork` and `clone` are refused, threads included.
* Memory that belongs to no process, and so counts against no limit: shared memory, `memfd`.

The rest is for depth: what has no place in a program that moves frames, and has been a way out of containers before.
"""

import platform
import struct

_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7  # AUDIT_ARCH_* of linux/audit.h
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, |JGE|K, BPF_RET|K
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; both machines are little-endian
_X32 = 0x40000000  # calls of the x32 ABI begin here; nothing of ours makes any
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that stay in the network namespace
_PACKET = 17

_Calls = dict[str, tuple[int, int | None]]  # their numbers on x86_64 and on aarch64; None where there is no such call
_PROCESSES: _Calls = {"fork": (57, None), "vfork": (58, None), "clone": (56, 220)}
_CLONE3 = (435, 435)  # "no such call": the C library then tries clone
_SOCKET = (41, 198)
_MEMORY: _Calls = {
    "shmget": (29, 194), "shmat": (30, 196), "memfd_secret": (447, 447),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
_FILES: _Calls = {"memfd_create": (319, 279)}  # in memory, and each no longer than RLIMIT_FSIZE allows
_NAMESPACES: _Calls = {
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "sethostname": (170, 161), "setdomainname": (171, 162),
}  # fmt: skip
_DEBUGGING: _Calls = {"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271)}
_NEVER: _Calls = {
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "acct": (163, 89), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "iopl": (172, None), "ioperm": (173, None), "quotactl": (179, 60),
    "personality": (135, 92), "syslog": (103, 116), "fanotify_init": (300, 262),
}  # fmt: skip


def program(privileged: bool = False) -> bytes:
    """The filter for this machine: struct sock_filter after struct sock_filter. Empty where we have none for it.

    If `privileged`, processes, what they do to each other, namespaces, packet sockets and files in memory are allowed: they
    are what such a lab is about, and a process's output has to go somewhere.
    """
    try:
        which, arch = {"x86_64": (0, _X86_64), "aarch64": (1, _AARCH64)}[platform.machine()]
    except KeyError:
        return b""
    refused = [_MEMORY, _NEVER] if privileged else [_PROCESSES, _MEMORY, _FILES, _NAMESPACES, _DEBUGGING, _NEVER]
    numbers = [call[which] for group in refused for call in group.values()]
    code = [_op(_LOAD, _ARCH), _op(_EQUAL, arch, 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER)]
    if which == 0:
        code += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, _KILL)]
    for number in filter(None, numbers):
        code += [_op(_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
    if not privileged:
        code += [_op(_EQUAL, _CLONE3[which], 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    families = (*_FAMILIES, _PACKET) if privileged else _FAMILIES
    code += [_op(_EQUAL, _SOCKET[which], 1, 0), _op(_RETURN, _ALLOW), _op(_LOAD, _FIRST_ARGUMENT)]
    for family in families:
        code += [_op(_EQUAL, family, 0, 1), _op(_RETURN, _ALLOW)]
    return b"".join([*code, _op(_RETURN, _ERRNO | _EAFNOSUPPORT)])


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)

"""A filter of system calls for loader processes on Linux: no sockets, programs, new processes, or hold on others.

It takes away what Landlock leaves: sockets that are not TCP, modes and owners of files, other processes' memory and
limits. What is not named here is allowed, so that libraries may change; calls newer than this list do not exist.
"""

import ctypes
import errno
import os
import platform
import sys

from .landlock import set_no_new_privileges

# name:number on x86_64:number on aarch64; 0 where an architecture has none (0 there is `read` or `io_setup`).
_DENIED = """
socket:41:198 socketpair:53:199 connect:42:203 bind:49:200 listen:50:201 accept:43:202 accept4:288:242
execve:59:221 execveat:322:281 fork:57:0 vfork:58:0 setsid:112:157 setpgid:109:154
ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 process_madvise:440:440 kcmp:312:272
pidfd_open:434:434 pidfd_getfd:438:438 pidfd_send_signal:424:424 rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240
setpriority:141:140 ioprio_set:251:30 migrate_pages:256:238 move_pages:279:239
truncate:76:45 chmod:90:0 fchmod:91:52 fchmodat:268:53 chown:92:0 fchown:93:55 lchown:94:0 fchownat:260:54
setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 removexattr:197:14 lremovexattr:198:15 fremovexattr:199:16
utime:132:0 utimes:235:0 futimesat:261:0 utimensat:280:88 mknod:133:0 mknodat:259:33
shmget:29:194 shmat:30:196 shmctl:31:195 semget:64:190 semop:65:193 semctl:66:191 semtimedop:220:192
msgget:68:186 msgsnd:69:189 msgrcv:70:188 msgctl:71:187 mq_open:240:180 mq_unlink:241:181
io_uring_setup:425:425 io_uring_enter:426:426 io_uring_register:427:427
bpf:321:280 perf_event_open:298:241 userfaultfd:323:282 fanotify_init:300:262
add_key:248:217 request_key:249:218 keyctl:250:219 name_to_handle_at:303:264 open_by_handle_at:304:265
mount:165:40 umount2:166:39 pivot_root:155:41 chroot:161:51 setns:308:268 unshare:272:97
open_tree:428:428 move_mount:429:429 fsopen:430:430 fsconfig:431:431 fsmount:432:432 fspick:433:433
mount_setattr:442:442 quotactl:179:60 quotactl_fd:443:443 swapon:167:224 swapoff:168:225 acct:163:89
reboot:169:142 kexec_load:246:104 kexec_file_load:320:294
init_module:175:105 finit_module:313:273 delete_module:176:106
settimeofday:164:170 clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171
sethostname:170:161 setdomainname:171:162 iopl:172:0 ioperm:173:0 syslog:103:116 vhangup:153:58
"""
_OWN_ALONE = "kill:62:129 tkill:200:130 tgkill:234:131"  # allowed where the process names itself
_OWN_OR_ZERO = (  # as these, and where 0 stands for itself; to `kill`, 0 is the whole group
    "prlimit64:302:261 sched_setparam:142:118 sched_setscheduler:144:119 sched_setaffinity:203:122 "
    "sched_setattr:314:274"
)
# A descriptor's owner is sent any signal when something happens to it, and a terminal takes what is typed into it.
_FCNTL, _OWNING_COMMANDS = "fcntl:72:25", (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_IOCTL, _REFUSED_REQUESTS = "ioctl:16:29", (0x8901, 0x8902, 0x5412)  # FIOSETOWN, SIOCSPGRP, TIOCSTI
_PRCTL, _CLONE, _CLONE3 = "prctl:157:167", "clone:56:220", "clone3:435:435"
_NEWEST = 446  # landlock_restrict_self, of the same number everywhere
_ARCHITECTURES = {"x86_64": (0xC000003E, 1), "aarch64": (0xC00000B7, 2)}  # as audit knows it; column above
_CLONE_THREAD = 0x10000
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _MODE_FILTER = 1, 22, 2

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENT_AT, _SECOND_AT = 0, 4, 16, 24
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000

Instruction = tuple[int, int, int, int]  # code, steps over where true, steps over where false, operand


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def install() -> None:
    """Puts the filter before this thread and what it starts, for good. Raises OSError where that cannot be."""
    program = filter_of(platform.machine(), os.getpid())
    if sys.maxsize < 2**32:
        raise OSError(errno.ENOSYS, "a 32-bit Python")
    rows = (_Instruction * len(program))(*(_Instruction(*row) for row in program))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges()
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(program), rows)), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def filter_of(machine: str, pid: int) -> list[Instruction]:
    """The filter for an architecture and a process. Raises OSError for an architecture that has no list here."""
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    audit, column = _ARCHITECTURES[machine]

    def number(entry: str) -> int:
        return int(entry.split(":")[column])

    refuse = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    missing = (_RETURN, 0, 0, _ERROR | errno.ENOSYS)  # libraries then do without
    allow = (_RETURN, 0, 0, _ALLOW)
    argument = (_LOAD, 0, 0, _ARGUMENT_AT)
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, audit),
        refuse,  # a 32-bit call
        (_LOAD, 0, 0, _NUMBER_AT),
        (_GREATER, 0, 1, _NEWEST),  # x32 too, whose numbers begin at 2**30
        missing,
        (_EQUAL, 0, 1, number(_CLONE3)),
        missing,  # its flags lie in memory, where a filter cannot look; `clone` takes its place
    ]
    for entry in _DENIED.split():
        if number(entry):
            program += [(_EQUAL, 0, 1, number(entry)), refuse]
    for entries, zero in ((_OWN_ALONE, pid), (_OWN_OR_ZERO, 0)):
        for entry in entries.split():
            program += [(_EQUAL, 0, 5, number(entry)), argument]
            program += [(_EQUAL, 2, 0, pid), (_EQUAL, 1, 0, zero), refuse, allow]
    for entry, values in ((_FCNTL, _OWNING_COMMANDS), (_IOCTL, _REFUSED_REQUESTS)):
        program += [(_EQUAL, 0, len(values) + 3, number(entry)), (_LOAD, 0, 0, _SECOND_AT)]
        program += [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
        program += [allow, refuse]
    program += [(_EQUAL, 0, 4, number(_PRCTL)), argument, (_EQUAL, 0, 1, _PR_SET_PDEATHSIG), refuse, allow]
    program += [(_EQUAL, 0, 4, number(_CLONE)), argument, (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse, allow]
    return [*program, allow]

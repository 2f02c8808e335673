"""A loader process that a file has taken over, run as a program: it tries what it is not for, and says what worked."""

import ctypes
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from indexes.documents import LoadedDocument
from indexes.loaders.limits import LoadLimits
from indexes.sandbox import landlock, seccomp, worker
from indexes.sandbox.confinement import Confinement, confine

COMMAND = (sys.executable, "-P", str(Path(__file__)))
_libc = ctypes.CDLL(None, use_errno=True)
_IO_URING_SETUP, _CLONE_NEWUSER, _PTRACE_SEIZE, _IPC_CREAT = 425, 0x10000000, 0x4206, 0o1000


def load(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The file is a JSON object of what the attacks need; the document one of what became of each: "" if it worked."""
    given = json.loads(path.read_text(encoding="utf-8"))
    results = {}
    for name, attack in ATTACKS.items():
        try:
            attack(given)
            results[name] = ""
        except Exception as error:
            results[name] = type(error).__name__
    return LoadedDocument("text", "results", json.dumps(results))


def _checked(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _connect(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as client:
        client.connect(address)
        client.send(b"secret")


def _bind() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))


def _child(run: Callable[[], object] = lambda: None) -> None:
    pid = os.fork()
    if not pid:
        try:
            run()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise PermissionError


def _run(program: str) -> None:
    """A program in a child, or in place of this process where it can have none."""
    try:
        pid = os.fork()
    except PermissionError:
        os.execv(program, [program])
    if not pid:
        with suppress(OSError):
            os.execv(program, [program])
        os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise PermissionError


def _run_own() -> None:
    program = Path(tempfile.gettempdir(), "program")
    program.write_bytes(Path("/usr/bin/true").read_bytes())
    with suppress(PermissionError):
        program.chmod(0o700)
    _run(str(program))


def _through(make: Callable[[str, Path], None], given: dict[str, Any]) -> None:
    name = Path(tempfile.gettempdir(), "way")
    make(given["secret"], name)
    try:
        name.read_bytes()
    finally:
        name.unlink()


def _memory_of(pid: int) -> None:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    first = int(Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").split("-")[0], 16)
    there, here = Vector(first, 8), Vector(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    _checked(_libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))


def _shared_memory() -> None:
    _checked(_libc.shmget(0x0FA7_0001, mmap.PAGESIZE, _IPC_CREAT | 0o600))


def _send_through_a_pair(address: str) -> None:
    """A pair of sockets is connected already; each datagram may name another receiver."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"secret", address)


def _own_signals(pid: int) -> None:
    """Would have the kernel send a process SIGKILL when something is written to a pipe."""
    end, other = os.pipe()
    try:
        fcntl.fcntl(end, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(end, fcntl.F_SETOWN, pid)
    finally:
        os.close(end)
        os.close(other)


def _thread() -> None:
    done = threading.Event()
    threading.Thread(target=done.set).start()
    assert done.wait(10)


ATTACKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "read a file": lambda given: Path(given["secret"]).read_bytes(),
    "read another document": lambda given: Path(given["document"]).read_bytes(),
    "list a folder": lambda given: os.listdir(given["folder"]),  # noqa: PTH208
    "read through a symbolic link": lambda given: _through(lambda at, name: name.symlink_to(at), given),
    "read through a hard link": lambda given: _through(lambda at, name: os.link(at, name), given),
    "read through /proc/self/root": lambda given: Path("/proc/self/root" + given["secret"]).read_bytes(),
    "read the parent's environment": lambda given: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "read the parent's memory": lambda given: _memory_of(os.getppid()),
    "write a file": lambda given: Path(given["folder"], "planted").write_text("x", encoding="utf-8"),
    "append to a file": lambda given: Path(given["victim"]).open("a").close(),
    "truncate a file": lambda given: os.truncate(given["victim"], 0),
    "delete a file": lambda given: Path(given["victim"]).unlink(),
    "make a folder": lambda given: Path(given["folder"], "made").mkdir(),
    "change a mode": lambda given: Path(given["secret"]).chmod(0o644),
    "change a time": lambda given: os.utime(given["secret"], (0, 0)),
    "connect by TCP": lambda given: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", given["port"])),
    "listen by TCP": lambda given: _bind(),
    "send by UDP": lambda given: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9)),
    "connect to a socket file": lambda given: _connect(socket.AF_UNIX, socket.SOCK_STREAM, given["socket"]),
    "send to a socket file through a pair": lambda given: _send_through_a_pair(given["datagrams"]),
    "connect to an abstract socket": lambda given: _connect(
        socket.AF_UNIX, socket.SOCK_STREAM, "\0" + given["abstract"]
    ),
    "start a program": lambda given: _run("/usr/bin/true"),
    "start a program of its own": lambda given: _run_own(),
    "start a process": lambda given: _child(),
    "signal its parent": lambda given: os.kill(os.getppid(), 0),
    "signal its group": lambda given: os.killpg(os.getpgid(0), 0),
    "trace its parent": lambda given: _checked(_libc.ptrace(_PTRACE_SEIZE, os.getppid(), None, None)),
    "limit its parent": lambda given: resource.prlimit(os.getppid(), resource.RLIMIT_CORE),
    "keep its parent to one core": lambda given: os.sched_setaffinity(os.getppid(), os.sched_getaffinity(os.getppid())),
    "give its parent a signal through a pipe": lambda given: _own_signals(os.getppid()),
    "outlive its parent": lambda given: _checked(_libc.prctl(1, 0, 0, 0, 0)),
    "leave its session": lambda given: _child(os.setsid),
    "be root in a namespace": lambda given: _checked(_libc.unshare(_CLONE_NEWUSER)),
    "set up io_uring": lambda given: _checked(_libc.syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))),
    "share memory": lambda given: _shared_memory(),
    # What is left to it:
    "choose its own core": lambda given: os.sched_setaffinity(0, os.sched_getaffinity(0)),
    "see that a file is there": lambda given: Path(given["secret"]).stat(),
    "read Python's library": lambda given: Path(os.__file__).read_bytes(),
    "read system files": lambda given: Path("/etc/passwd").read_bytes(),
    "write in its scratch folder": lambda given: Path(tempfile.gettempdir(), "x").write_text("x", encoding="utf-8"),
    "start a thread": lambda given: _thread(),
    "signal itself": lambda given: os.kill(os.getpid(), 0),
    "raise its own limits": lambda given: resource.setrlimit(
        resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    ),
}


def _landlock_alone(scratch: str) -> Confinement:
    from indexes.sandbox import confinement as sandbox

    return Confinement(landlock.restrict(sandbox._readable(), (scratch, "/dev/null")), False, "not asked for")


def _filter_alone(scratch: str) -> Confinement:
    seccomp.install()
    return Confinement(0, True, "not asked for")


if __name__ == "__main__":
    assert platform.system() == "Linux"
    signal.alarm(60)
    ways: dict[str, Callable[[str], Confinement]] = {
        "nothing": lambda scratch: Confinement(reason="not asked for"),
        "landlock": _landlock_alone,
        "filter": _filter_alone,
        "all": confine,
    }
    setattr(worker, "confine", ways[sys.argv[1]])  # noqa: B010, as a system would that has less
    worker.serve(load)

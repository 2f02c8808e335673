"""A loader process: reads the files that its parent names, one after another, inside limits that the kernel holds."""

import errno
import itertools
import math
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError, UnsupportedError
from ..loaders.limits import LoadLimits, too_large
from .confinement import confine
from .frames import Answer, FrameError, FrameReader, Request, read_request, send, send_answer

FILES_PER_PROCESS = 500  # then a fresh one takes over; libraries leak
GROWN_MIB = 512  # resident memory after a file from which a process is not used again

_MIB = 2**20
_PR_SET_PDEATHSIG = 1
_CAUSES = 50  # of one error looked at; a chain may be a circle
_STATM = Path("/proc/self/statm")

Loader = Callable[[Path, LoadLimits], LoadedDocument]


def main() -> None:
    """Entry of the process that `LoaderPool` starts."""
    from ..loaders import load

    serve(load)


def can_limit_memory() -> bool:
    """Whether this system tells a process its size and holds it to a limit; only Linux does both."""
    return sys.platform == "linux" and _STATM.exists()


def serve(load: Loader) -> None:
    """Answers requests until the parent closes its end or dies; never returns.

    The last two arguments of the command line are the descriptors that requests come by and answers go by. Before
    the first file it gives up what it does not need; its first frame says by what.
    """
    requests, answers = socket.socket(fileno=int(sys.argv[-2])), int(sys.argv[-1])
    requests.set_inheritable(False)
    os.set_inheritable(answers, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _end_with_parent()
    reader = FrameReader(max_characters=0)
    scratch = Path(os.environ["TMPDIR"])
    given = scratch / "file"
    given.mkdir()
    _statm()
    try:
        send(answers, {"ready": True, **asdict(confine(str(scratch)))})
        _silence()
        for served in itertools.count(1):
            descriptors: list[int] = []
            while (frame := reader.take()) is None:
                data, came, _, _ = socket.recv_fds(requests, _MIB, 1)
                if not data:
                    os._exit(0)
                descriptors += came
                reader.feed(data)
            answer = _read(load, given, read_request(frame), descriptors[0])
            _answer(answers, answer, served >= FILES_PER_PROCESS)
    except (BrokenPipeError, ConnectionResetError):  # the parent is gone
        os._exit(1)


def _read(load: Loader, folder: Path, request: Request, descriptor: int) -> Answer:
    """The document or the reason, whatever the loader raises; the folder is where it finds the file."""
    limits = request.limits
    _confine(limits)
    path = folder / request.name
    try:
        _copy(descriptor, path, request.size_bytes, limits)
        return Answer(load(path, limits))
    except BaseException as error:  # SystemExit of a library too
        if _out_of_memory(error):
            return Answer(None, f"needed more than {limits.max_memory_mib} MiB (--max-memory-mib)", last=True)
        if isinstance(error, LoadError):
            return Answer(None, str(error) or "cannot be read", isinstance(error, UnsupportedError))
        return Answer(None, f"cannot be read: {type(error).__name__}: {str(error)[:200]}", last=True)
    finally:
        _release()
        with suppress(OSError):
            path.unlink()


def _copy(descriptor: int, path: Path, size_bytes: int, limits: LoadLimits) -> None:
    """Makes a copy for loaders, which open a file by its path and more than once: no other file can come in its place.

    Closes the descriptor. Bytes beyond the size that the file had when it was opened are left out.
    """
    try:
        if reason := too_large(size_bytes, limits):
            raise LoadError(reason)
        with path.open("xb") as stream:
            done = 0
            while step := os.pread(descriptor, min(_MIB, size_bytes - done), done):
                stream.write(step)
                done += len(step)
    except OSError as error:
        raise LoadError(f"cannot be copied to the folder for temporary files: {error.strerror or error}") from error
    finally:
        os.close(descriptor)


def _answer(descriptor: int, answer: Answer, retires: bool) -> None:
    last = answer.last or retires or _resident_mib() > GROWN_MIB
    try:
        send_answer(descriptor, Answer(answer.document, answer.reason, answer.unsupported, last))
    except (FrameError, UnicodeEncodeError) as error:
        send_answer(descriptor, Answer(None, f"cannot be kept: {error}"[:500], last=last))
    if last:
        os._exit(0)  # no library's clean-up


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, says that memory ran out."""
    for _ in range(_CAUSES):
        if error is None:
            return False
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        error = error.__cause__ or error.__context__
    return False


def _confine(limits: LoadLimits) -> None:
    """Limits for one file: address space above what is held now, CPU time as a backstop, length of what it writes."""
    _soften(resource.RLIMIT_CORE, 0)
    _soften(resource.RLIMIT_FSIZE, limits.max_file_mib * _MIB)  # attachments go through files
    used = resource.getrusage(resource.RUSAGE_SELF)
    cores = os.cpu_count() or 1
    _soften(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + limits.max_seconds * cores) + 1)
    if can_limit_memory():
        _soften(resource.RLIMIT_AS, _pages()[0] * resource.getpagesize() + limits.max_memory_mib * _MIB)


def _release() -> None:
    """Lets the answer be written: it takes memory of its own."""
    if can_limit_memory():
        _soften(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def _soften(kind: int, value: int) -> None:
    """Sets a soft limit, as far as the hard one allows."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = hard if value == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, hard))


def _pages() -> tuple[int, int]:
    """Memory pages of this process: address space, resident."""
    size, resident, *_ = os.pread(_statm(), 200, 0).split()
    return int(size), int(resident)


@cache
def _statm() -> int:
    """Opened before the process is confined, and held; -1 where there is none."""
    return os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC) if can_limit_memory() else -1


def _resident_mib() -> float:
    return _pages()[1] * resource.getpagesize() / _MIB if can_limit_memory() else 0.0


def _silence() -> None:
    """What libraries print goes nowhere; what went before this told why a process did not start."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _end_with_parent() -> None:
    """Has the kernel kill this process when its parent dies, or watches for that where it cannot."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)

"""One loader process as its parent sees it: given little, never trusted, killed rather than waited for."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import IndexesError
from ..files.sources import Source
from ..loaders.limits import LoadLimits
from .frames import Answer, Frame, FrameReader, Request, send_request
from .scratch import Scratch

START_SECONDS = 60.0  # for a process to say that it is there, on a busy machine

_WORDS_BYTES = 2**16  # what a pipe holds
_SAID_BYTES = 400  # the end of it, which names the error
_KEPT_VARIABLES = "PATH LANG LC_ALL LC_CTYPE LD_LIBRARY_PATH DYLD_LIBRARY_PATH PYTHONHOME TZ".split()
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(slots=True)
class Job:
    """A file on its way: `started` by the monotonic clock, `answer` None until it is known; then it is closed.

    `again`: a process died of it that had read other files before, so it is tried once more in a fresh one.
    """

    source: Source
    started: float
    answer: Answer | None = None
    seconds: float = 0.0
    again: bool = False


class LoaderProcess:
    """Raises IndexesError where the command cannot be started."""

    def __init__(self, command: Sequence[str], limits: LoadLimits) -> None:
        self.job: Job | None = None
        self.ready = False
        self.served = 0
        self.deadline = time.monotonic() + START_SECONDS
        self._limits = limits
        self._reader = FrameReader(limits.max_characters)
        self._said = b""
        self._scratch = _scratch()
        self._requests, requests = socket.socketpair()  # files go over it, open
        self.answers, answers = os.pipe()
        self._words, words = os.pipe()  # read once, at the end; a process that is ready writes to it no more
        try:
            self._popen = subprocess.Popen(
                [*command, str(requests.fileno()), str(answers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
                pass_fds=(requests.fileno(), answers),
                cwd="/",
                umask=0o077,
                env=_environment() | {"TMPDIR": str(self._scratch.folder)},
                start_new_session=True,  # Ctrl-C does not reach it, and it can be killed with what it started
            )
        except OSError as error:
            self._close()
            raise IndexesError(
                f"a loader process cannot be started: {error.strerror}", f"check that {command[0]} can be run"
            ) from error
        finally:
            requests.close()
            for descriptor in (answers, words):
                os.close(descriptor)

    @property
    def pending(self) -> bool:
        """Whether a part of a frame is here."""
        return self._reader.pending

    def give(self, job: Job) -> None:
        """Sends a file; a process that has died meanwhile is found out when its answer is read."""
        self.job = job
        if self.ready:
            self.begin()
        request = Request(job.source.path.name, job.source.size_bytes, self._limits)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send_request(self._requests, request, job.source.descriptor)

    def begin(self) -> None:
        """Starts the clock of the file; what the process takes to start does not count."""
        self.ready = True
        self.deadline = time.monotonic() + self._limits.max_seconds
        if self.job:
            self.job.started = time.monotonic()

    def extend(self) -> None:
        """Starts the clock anew where a part of the answer is here: taking it may have to wait for the caller."""
        if self.pending:
            self.deadline = time.monotonic() + self._limits.max_seconds

    def frames(self, data: bytes) -> Iterator[Frame]:
        """The frames that this piece completes. Raises FrameError."""
        begun = self.pending
        self._reader.feed(data)
        while (frame := self._reader.take()) is not None:
            yield frame
        if not begun:
            self.extend()

    def end(self) -> int:
        """Kills what is left of the process and of what it started; its exit code, negative for a signal.

        May be called again.
        """
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
            self._close()
        return self._popen.returncode

    def last_words(self) -> str:
        """The end of what an ended process wrote on stderr before it was ready."""
        return " ".join(self._said.decode(errors="replace").split())

    def _close(self) -> None:
        os.set_blocking(self._words, False)  # what the process started may hold the other end
        with contextlib.suppress(BlockingIOError):
            self._said = os.read(self._words, _WORDS_BYTES)[-_SAID_BYTES:]
        self._requests.close()
        for descriptor in (self.answers, self._words):
            os.close(descriptor)
        self._scratch.remove()


def why_it_ended(code: int, limits: LoadLimits) -> str:
    """The reason that an exit code, negative for a signal, gives a file."""
    if code >= 0:
        return f"its reader ended without an answer (exit code {code})"
    if -code == signal.SIGXCPU:
        return took_too_long(limits)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    if -code == signal.SIGKILL:
        return f"its reader was killed (signal {name}), as a system does that runs out of memory"
    return f"its reader crashed (signal {name})"


def took_too_long(limits: LoadLimits) -> str:
    return f"took longer than {limits.max_seconds:g} s (--max-seconds)"


def _scratch() -> Scratch:
    try:
        return Scratch()
    except OSError as error:
        raise IndexesError(
            f"no folder for temporary files can be made: {error.strerror or error}", "make room, or set TMPDIR"
        ) from error


def _environment() -> dict[str, str]:
    """What a reader needs of the surroundings, without settings, keys and names of the user."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    folders = [str(Path(part).absolute()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    if folders:
        kept["PYTHONPATH"] = os.pathsep.join(folders)
    return kept | dict.fromkeys(_THREADS, "1") | {"PYTHONSAFEPATH": "1"}

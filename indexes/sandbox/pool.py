"""The pool of loader processes: files in, documents or reasons out, and no file that can bring the run down."""

import os
import selectors
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..documents import LoadedDocument
from ..errors import IndexesError
from ..files.sources import Source, open_source
from ..loaders.limits import LoadLimits
from ..text.printable import printable
from .confinement import Confinement
from .frames import Answer, Frame, FrameError, read_answer
from .process import START_SECONDS, Job, LoaderProcess, took_too_long, why_it_ended
from .scratch import sweep
from .worker import can_limit_memory

MOST_PROCESSES = 4
AHEAD_FILES = 8  # per process: files that are begun before the one that is waited for is handed over
AHEAD_CHARACTERS = 20_000_000  # of text that waits for its turn, from which no other file is begun
REASON_CHARACTERS = 500

_READ_BYTES = 2**20
_CODE = "import sys; sys.path.append(sys.argv[1]); from indexes.sandbox.worker import main; main()"
# The packages' folder comes last on the path: needed only where fathom is run without being installed.
_COMMAND = (sys.executable, "-P", "-c", _CODE, str(Path(__file__).resolve().parents[2]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: its document, or the reason, safe to print, why there is none.

    `unsupported`: it is of a kind that is not read. `seconds`: what its process took for it.
    """

    path: Path
    document: LoadedDocument | None
    reason: str
    unsupported: bool
    seconds: float


class LoaderPool:
    """Loader processes, started when a file needs them and ended with the `with` block.

    `processes` is how many at most; None: the cores that this process may use, up to MOST_PROCESSES. `command`
    starts something else in place of fathom's loaders; it must come to `indexes.sandbox.worker.serve`. A pool
    belongs to one thread, one `load` at a time; its processes end when that thread does. `confinement`: what its
    processes say they are confined by; None before one was started.
    """

    def __init__(self, limits: LoadLimits, processes: int | None = None, command: Sequence[str] | None = None) -> None:
        if processes is not None and processes < 1:
            raise ValueError(f"processes must be at least 1, got {processes}")
        self._limits = limits
        self._most = processes or min(_cores(), MOST_PROCESSES)
        self._command = tuple(command or _COMMAND)
        self.confinement: Confinement | None = None
        self._processes: list[LoaderProcess] = []
        self._selector = selectors.DefaultSelector()

    @property
    def limited(self) -> bool:
        """Whether the memory limit is held here; time and output are limited everywhere."""
        return can_limit_memory()

    def __enter__(self) -> "LoaderPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in list(self._processes):
            self._end(process)
        self._selector.close()

    def try_out(self) -> Confinement:
        """Starts a process without a file, and says what it is confined by. Raises IndexesError."""
        process = self._started()
        while self.confinement is None:
            self._pump(wait=True)
        self._end(process)
        return self.confinement

    def load(self, jobs: Iterable[Path | Source]) -> Iterator[Outcome]:
        """One outcome a job, in the order of the jobs; a path is opened when its turn comes, a source is closed here.

        Works ahead: takes jobs from the iterable while a process is free for them, up to AHEAD_FILES a process and
        AHEAD_CHARACTERS of text. Starts nothing before the first outcome is asked for. Raises IndexesError where
        no loader process can be started.
        """
        queue: deque[Job] = deque()
        source = iter(jobs)
        more = True
        try:
            while True:
                self._pump(wait=False)
                while more and self._has_room(queue):
                    file = next(source, None)
                    more = file is not None
                    if file is not None:
                        queue.append(job := _job(file))
                        if job.answer is None:
                            self._dispatch(job)
                if not queue:
                    return
                if (answer := queue[0].answer) is None:
                    self._pump(wait=True)
                    continue
                yield _outcome(queue.popleft(), answer)
                for process in self._processes:
                    process.extend()
        finally:
            for process in [process for process in self._processes if process.job]:
                self._end(process)
            for job in queue:
                job.source.close()

    def _has_room(self, queue: Sequence[Job]) -> bool:
        free = len(self._processes) < self._most or any(process.job is None for process in self._processes)
        waiting = sum(len(job.answer.document.text) for job in queue if job.answer and job.answer.document)
        return free and len(queue) < AHEAD_FILES * self._most and waiting < AHEAD_CHARACTERS

    def _dispatch(self, job: Job) -> None:
        """Gives a file to a free process, or to a new one; a file that is tried again always to a new one."""
        process = next((process for process in self._processes if process.job is None and not job.again), None)
        (process or self._started()).give(job)

    def _started(self) -> LoaderProcess:
        if self.confinement is None:  # the first one
            sweep()
        process = LoaderProcess(self._command, self._limits)
        self._processes.append(process)
        self._selector.register(process.answers, selectors.EVENT_READ, process)
        return process

    def _pump(self, wait: bool) -> None:
        """Takes in what has come and ends the processes that are late; with `wait`, not before something happened."""
        deadlines = [process.deadline for process in self._processes if process.job or not process.ready]
        timeout = max(0.0, min(deadlines) - time.monotonic()) if wait else 0.0
        for key, _ in self._selector.select(timeout):
            self._receive(key.data)
        now = time.monotonic()
        for process in [p for p in self._processes if (p.job or not p.ready) and p.deadline <= now]:
            self._end(process)
            if not process.ready:
                raise self._not_started(process, f"said nothing for {START_SECONDS:.0f} s")
            self._settle(process, Answer(None, took_too_long(self._limits)))

    def _receive(self, process: LoaderProcess) -> None:
        data = os.read(process.answers, _READ_BYTES)
        if not data:
            self._bury(process)
            return
        try:
            for frame in process.frames(data):
                self._take(process, frame)
            if process.pending and not process.job:
                raise FrameError("an answer that nothing was asked for")
        except FrameError as error:
            self._end(process)
            if not process.ready:
                raise self._not_started(process, f"sent {error}") from error
            self._settle(process, Answer(None, f"its reader sent {error}"))

    def _take(self, process: LoaderProcess, frame: Frame) -> None:
        if not process.ready:
            self.confinement = _confinement(frame)
            process.begin()
            return
        if not process.job:
            raise FrameError("an answer that nothing was asked for")
        answer = read_answer(frame, self._limits)
        if answer.last:
            self._end(process)
        self._settle(process, answer)

    def _bury(self, process: LoaderProcess) -> None:
        """A process has died. If it had read other files they may be to blame: its file is tried once more."""
        code = self._end(process)
        if not process.ready:
            raise self._not_started(process, f"ended with exit code {code}")
        job = process.job
        if job and process.served and not job.again:
            job.again = True
            self._dispatch(job)
        else:
            self._settle(process, Answer(None, why_it_ended(code, self._limits)))

    def _settle(self, process: LoaderProcess, answer: Answer) -> None:
        job, process.job = process.job, None
        if job:
            process.served += 1
            job.answer, job.seconds = answer, time.monotonic() - job.started
            job.source.close()

    def _end(self, process: LoaderProcess) -> int:
        if process in self._processes:
            self._processes.remove(process)
            self._selector.unregister(process.answers)
        return process.end()

    def _not_started(self, process: LoaderProcess, what: str) -> IndexesError:
        words = process.last_words()
        return IndexesError(
            f"a loader process {what}" + (f": {words}" if words else ""),
            f"check that {self._command[0]} starts here and that memory is left",
        )


def _job(file: Path | Source) -> Job:
    """A file on its way; one that cannot be opened has its answer."""
    started = time.monotonic()
    if isinstance(file, Source):
        return Job(file, started)
    try:
        return Job(open_source(file), started)
    except OSError as error:
        return Job(Source(file, -1, 0), started, Answer(None, f"cannot be opened: {error.strerror or error}"))


def _outcome(job: Job, answer: Answer) -> Outcome:
    reason = printable(answer.reason)[:REASON_CHARACTERS]
    return Outcome(job.source.path, answer.document, reason, answer.unsupported, job.seconds)


def _confinement(frame: Frame) -> Confinement:
    """What a process says of itself when it is ready. Raises FrameError."""
    landlock, filtered, reason = (frame.fields.get(name) for name in ("landlock", "filtered", "reason"))
    if not (type(landlock) is int and isinstance(filtered, bool) and isinstance(reason, str)):
        raise FrameError("a first word that does not say what confines it")
    return Confinement(landlock, filtered, printable(reason)[:REASON_CHARACTERS])


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

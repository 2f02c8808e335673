"""How indexing goes: bars with files, pages, rate and time left on a terminal, a plain line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .terminal import clean, error_console, note, watched

if TYPE_CHECKING:
    from indexes.ingest.writer import IndexProgress

LINE_EVERY_S = 10.0
_NAME_CHARACTERS = 48


@contextlib.contextmanager
def index_progress(
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[["IndexProgress"], None]]:
    """Hears how indexing goes and shows it on stderr."""
    if watched(sys.stderr):
        with _bars(clock) as show:
            yield show
    else:
        yield _lines(clock)


def _lines(clock: Callable[[], float]) -> Callable[["IndexProgress"], None]:
    started = spoken = clock()

    def show(progress: "IndexProgress") -> None:
        nonlocal spoken
        now = clock()
        if now - spoken >= LINE_EVERY_S:
            spoken = now
            note(f"… {line(progress, now - started)}")

    return show


def line(progress: "IndexProgress", seconds: float) -> str:
    """Where a run stands after some seconds, on one line."""
    parts = [f"{progress.files_done:,} of {progress.files_total:,} files"]
    if progress.pages_done:
        parts.append(f"{progress.pages_done:,} pages")
    parts.append(f"{progress.chunks_done:,} of {progress.chunks_found:,} chunks")
    if progress.chunks_done and seconds > 0:
        parts.append(f"{progress.chunks_done / seconds:.0f} chunks/s")
    if progress.stage:
        parts.append(progress.stage)
    elif (left := seconds_left(progress, seconds)) is not None:
        parts.append(f"about {span(left)} left")
    return ", ".join(parts)


def seconds_left(progress: "IndexProgress", seconds: float) -> float | None:
    """An estimate: files still to come cost as much as those before; None before the first one is done."""
    done = progress.files_done * (progress.chunks_done / progress.chunks_found if progress.chunks_found else 1.0)
    if done <= 0:
        return None
    return seconds * (progress.files_total - done) / done


def span(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def _bars(clock: Callable[[], float]) -> Iterator[Callable[["IndexProgress"], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    started = clock()
    with error_console() as console, Progress(*columns, console=console, transient=True) as bar:
        files = bar.add_task("files", total=None, detail="")
        chunks = bar.add_task("chunks", total=None, detail="")

        def show(progress: "IndexProgress") -> None:
            seconds = clock() - started
            left = seconds_left(progress, seconds)
            pages = f"{progress.pages_done:,} pages  " if progress.pages_done else ""
            ending = f"about {span(left)} left  " if left is not None and not progress.stage else ""
            name = clean(progress.stage or progress.current)
            name = name if len(name) <= _NAME_CHARACTERS else "…" + name[1 - _NAME_CHARACTERS :]
            rate = f"{progress.chunks_done / seconds:.0f}/s" if seconds > 0 and progress.chunks_done else ""
            bar.update(
                files,
                total=progress.files_total,
                completed=progress.files_done,
                detail=f"{pages}{ending}{name}",
            )
            bar.update(chunks, total=progress.chunks_found or None, completed=progress.chunks_done, detail=rate)

        yield show

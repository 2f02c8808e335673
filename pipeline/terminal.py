"""The terminal: answers on stdout, everything else on stderr, colours and progress only where a person looks."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from .errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_CONTROL = dict.fromkeys((*range(0, 9), *range(11, 32), *range(127, 160)))


def clean(text: str) -> str:
    """The text without control characters, so that no document can drive the terminal."""
    return text.translate(_CONTROL)


def out(text: str = "") -> None:
    """One line on stdout. Raises OutputError where nobody reads it any more."""
    try:
        sys.stdout.write(clean(text) + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputError("stdout was closed") from error
    except UnicodeEncodeError:
        sys.stdout.write(clean(text).encode("ascii", "replace").decode() + "\n")


def note(text: str) -> None:
    """One line on stderr."""
    with contextlib.suppress(BrokenPipeError, UnicodeEncodeError):
        sys.stderr.write(clean(text) + "\n")
        sys.stderr.flush()


def out_json(record: Any) -> None:
    """A record as one JSON object on stdout."""
    value = asdict(record) if is_dataclass(record) and not isinstance(record, type) else record
    out(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def error_console() -> "Console":
    """A console on a duplicate of stderr, which stays the terminal while a library's output is captured."""
    from rich.console import Console

    stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    return Console(file=stream, highlight=False, markup=False)


class Stages:
    """What happens now: a spinner with the seconds gone by on a terminal, one line a stage elsewhere."""

    def __init__(self) -> None:
        self._console: Console | None = None
        self._progress: Progress | None = None
        self._draft = ""

    @contextlib.contextmanager
    def shown(self) -> Iterator["Stages"]:
        """Shows stages until the block ends."""
        if not sys.stderr.isatty():
            yield self
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = error_console()
        columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._task = self._progress.add_task("", total=None)
            try:
                yield self
            finally:
                self._progress = None

    def stage(self, text: str) -> None:
        """A new stage begins."""
        self._draft = ""
        if self._progress is not None:
            self._progress.reset(self._task, description=text)
        else:
            note(f"… {text}")

    def text(self, piece: str) -> None:
        """A piece of the answer while it is written; shown on a terminal, unchecked as it is."""
        if self._progress is not None:
            self._draft = clean(self._draft + piece)
            self._progress.update(self._task, description="writing: " + " ".join(self._draft.split())[-400:])


def index_progress() -> "Progress":
    """A progress bar for indexing, on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[current]}", markup=False),
        console=error_console(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )

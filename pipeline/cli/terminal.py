"""The terminal: answers on stdout, everything else on stderr, colours and progress only where a person looks."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from typing import IO, TYPE_CHECKING, Any

from ..errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_noted: set[str] = set()  # by the command that runs
# Turn the direction of writing, end a line, or are not seen at all and yet may say something.
_UNSEEN = (
    *(0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xE0000, 0xE0080),
    *range(0xE0100, 0xE01F0),
)
_CONTROL = dict.fromkeys((*range(0, 9), *range(11, 32), *range(127, 160), *_UNSEEN))
_ESCAPED = {code: json.dumps(chr(code))[1:-1] for code in (*range(127, 160), *_UNSEEN)}  # in JSON the same text


def clean(text: str) -> str:
    """The text without control characters, marks that turn the direction of writing, and unseen ones, so that no
    document can drive the terminal or show another text than it has. Joiners stay: scripts and emoji need them."""
    return text.translate(_CONTROL)


def out(text: str = "") -> None:
    """One line on stdout; what its encoding lacks becomes "?". Raises OutputError where it cannot be written."""
    stream = sys.stdout
    if stream is None:
        raise OutputError("stdout is closed", "leave it open, or send it to a file")
    encoding = stream.encoding or "utf-8"
    try:
        stream.write((clean(text) + "\n").encode(encoding, "replace").decode(encoding))
        stream.flush()
    except OSError as error:
        raise OutputError(f"stdout cannot be written: {error.strerror}", "make room, or write elsewhere") from error


def give_up_stdout() -> None:
    """Lets what is still waiting for stdout go nowhere, so that the interpreter ends without complaint."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def note(text: str) -> None:
    """One line on stderr, if anyone can read it."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, UnicodeEncodeError):
        sys.stderr.write(clean(text) + "\n")
        sys.stderr.flush()


def note_once(text: str) -> None:
    """The same for a line that one command may come to more than once."""
    if text not in _noted:
        _noted.add(text)
        note(text)


def begin_command() -> None:
    """A command begins: nothing has been noted yet."""
    _noted.clear()


def watched(stream: IO[str] | None) -> bool:
    """Whether a person looks at a stream."""
    return stream is not None and stream.isatty()


def out_json(record: Any) -> None:
    """A record as one JSON object on stdout."""
    value = asdict(record) if is_dataclass(record) and not isinstance(record, type) else record
    text = json.dumps(value, ensure_ascii=False, indent=2 if watched(sys.stdout) else None)
    out(text.translate(_ESCAPED))


@contextlib.contextmanager
def error_console() -> Iterator["Console"]:
    """A console on a duplicate of stderr, which stays the terminal while a library's output is captured."""
    from rich.console import Console

    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as stream:
        yield Console(file=stream, highlight=False, markup=False)


class Stages:
    """What happens now: a spinner with the seconds gone by on a terminal, one line a stage elsewhere."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._draft = ""

    @contextlib.contextmanager
    def shown(self) -> Iterator["Stages"]:
        """Shows stages until the block ends."""
        if not watched(sys.stderr):
            yield self
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with error_console() as console, Progress(*columns, console=console, transient=True) as self._progress:
            self._task = self._progress.add_task("", total=None)
            try:
                yield self
            finally:
                self._progress = None

    def stage(self, text: str) -> None:
        """A new stage begins."""
        self._draft = ""
        if self._progress is not None:
            self._progress.reset(self._task, description=clean(text))
        else:
            note(f"… {text}")

    def text(self, piece: str) -> None:
        """A piece of the answer while it is written; shown on a terminal, unchecked as it is."""
        if self._progress is not None:
            self._draft = clean(self._draft + piece)
            self._progress.update(self._task, description="writing: " + " ".join(self._draft.split())[-400:])

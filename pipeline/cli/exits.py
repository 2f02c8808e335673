"""How a command fails: a clear line and the next step on stderr, with --json an object on stdout, an exit code."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import ConfigError, ExitCode, OutputError, PipelineError
from . import terminal

JSON_FLAG = "--json"
_KEY_CHARACTERS = 4  # shorter ones hide nothing, and are in many words


class Commands(TyperGroup):
    """The commands, with errors of usage told like all others."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *more: Any, **settings: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        settings["standalone_mode"] = False
        try:
            code = super().main(given, prog_name, *more, **settings)
        except typer.TyperException as error:
            code = error.exit_code
            _tell_usage(error, JSON_FLAG in given)
        sys.exit(code or ExitCode.ANSWERED)


@contextmanager
def reported(json: bool) -> Iterator[None]:
    """Ends the command with the line, the object and the exit code of what went wrong in the block."""
    from engine.errors import EngineError
    from indexes.errors import IndexesError, QueryError

    terminal.begin_command()
    try:
        yield
    except KeyboardInterrupt:
        terminal.note("fathom: interrupted; what was done is kept")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except OutputError as error:
        terminal.give_up_stdout()
        if not isinstance(error.__cause__, BrokenPipeError):  # else its reader has gone, and so do we, quietly
            _tell(type(error).__name__, str(error), error.hint, json=False)
        raise typer.Exit(ExitCode.ERROR) from None
    except (PipelineError, IndexesError, EngineError) as error:
        _tell(type(error).__name__, str(error), error.hint, json)
        code = ExitCode.USAGE if isinstance(error, ConfigError | QueryError) else ExitCode.ERROR
        raise typer.Exit(code) from None
    except OSError as error:  # a disk that is full, a folder that may not be written
        where = f"{error.filename}: " if error.filename else ""
        _tell(
            type(error).__name__, f"{where}{error.strerror or error}", "check the path, its disk and permissions", json
        )
        raise typer.Exit(ExitCode.ERROR) from None


def _tell(kind: str, message: str, hint: str, json: bool) -> None:
    message, hint = _safe(" ".join(message.splitlines())), _safe(hint)
    terminal.note(f"fathom: {message}" + (f"\n  → {hint}" if hint else ""))
    if json:
        with suppress(OutputError):
            terminal.out_json({"error": {"kind": kind, "message": message, "hint": hint}})


def _safe(text: str) -> str:
    """The text without passwords in URLs and without the API key, wherever they were typed or came back."""
    from engine.http.address import redacted_within
    from engine.http.transport import API_KEY

    key = os.environ.get(API_KEY, "").strip()
    return redacted_within(text.replace(key, "***") if len(key) >= _KEY_CHARACTERS else text)


def _tell_usage(error: typer.TyperException, json: bool) -> None:
    message = error.format_message().replace("Value error, ", "")
    if len(message.splitlines()) > 1:  # the help, where a command was called with nothing
        terminal.note(message)
        return
    context = getattr(error, "ctx", None)
    _tell("UsageError", message, f"see: {context.command_path if context else 'fathom'} --help", json)

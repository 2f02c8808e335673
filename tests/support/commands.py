"""Runs `fathom`, in this process and in one of its own, and reads what it told."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner, Result

from indexes.collection import Collection
from pipeline.cli.app import app
from pipeline.errors import ExitCode

FATHOM = (sys.executable, "-m", "pipeline")
FAKE = ("--engine", "fake://")


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin, prog_name="fathom")


def ok(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == ExitCode.ANSWERED, result.output
    return result.stdout


def process(
    *arguments: str | bytes, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*FATHOM, *arguments], input=stdin, capture_output=True, check=False, env={**os.environ, **(env or {})}
    )


def told(stderr: str) -> tuple[str, str]:
    """The two lines of an error, stages before them left out: the message and the next step."""
    message, hint = [line for line in stderr.splitlines() if not line.startswith("… ")]
    assert message.startswith("fathom: ")
    assert hint.startswith("  → ")
    return message.removeprefix("fathom: "), hint.removeprefix("  → ")


def indexed(folder: Path) -> list[tuple[str, str]]:
    with closing(Collection.open(folder / ".fathom")) as collection:
        return [(document.name, collection.text(document.id)) for document in collection.documents()]

"""What several commands share: their options, and settings, collection and question made of them."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .exits import JSON_FLAG

if TYPE_CHECKING:
    from engine.models.resolution import ModelFiles
    from indexes.collection import Collection

    from ..config import Config, Loaded


def as_path(text: str) -> Path:
    """The path; an empty one, which often is a variable that was never set, is not the current folder."""
    if not text.strip():
        raise typer.BadParameter("the path is empty")
    return Path(text)


CollectionOption = Annotated[
    Path | None,
    typer.Option(
        "--collection",
        "-C",
        parser=as_path,
        metavar="FOLDER",
        help="The collection's folder; else .fathom/ here or in a folder above.",
    ),
]
JsonOption = Annotated[bool, typer.Option(JSON_FLAG, help="Print one JSON object on stdout.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Bundled name, folder, .gguf file or hub id (owner/name).")
]
EngineOption = Annotated[
    str | None, typer.Option("--engine", help="URL of an OpenAI-compatible server, in place of the embedded vLLM.")
]


RerankerOption = Annotated[
    str | None,
    typer.Option(
        "--reranker", metavar="MODEL", help="Cross-encoder (folder or hub id) that orders the best passages anew: slow."
    ),
]


ModelArgument = Annotated[
    str | None,
    typer.Argument(help="Bundled name, folder, config.json, .gguf file or hub id that is here; the default model."),
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", parser=as_path, metavar="FILE", help="Draw it as an SVG file.")
]


def settings(flags: dict[str, Any]) -> "Config":
    """The configuration seen from the current folder, with flags on top. Raises ConfigError."""
    return loaded_settings(flags).config


def loaded_settings(flags: dict[str, Any]) -> "Loaded":
    """The same with what became of the folder's `fathom.toml`, which is said on stderr once in a command."""
    from ..config import load
    from . import terminal

    loaded = load(Path.cwd(), flags)
    if loaded.file is not None:
        from ..trusting import notices

        for line in notices(loaded):
            terminal.note_once(line)
    return loaded


def note_unread(collection: "Collection") -> None:
    """Says on stderr that documents of a trusted collection hold what its sender wrote."""
    if count := collection.unread:
        from . import terminal

        terminal.note(
            f"fathom: the texts of {count:,} documents came with the collection, and their files were not read since\n"
            "  → fathom index FOLDER, with the folder of the files"
        )


def question_of(text: str) -> str:
    """The question of an argument, "-" standing for stdin. Raises QueryError for one that is not UTF-8."""
    from indexes.errors import QueryError

    raw = os.fsencode(text)
    if text == "-":
        raw = sys.stdin.buffer.read() if sys.stdin else b""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise QueryError(f"the question is not UTF-8 text: {error.reason}", "write it in UTF-8") from error


def described_model(name: str | None) -> "ModelFiles":
    """The model of an argument, else that of the settings; its weights need not be here. Raises ModelError."""
    from engine.models.resolution import DEFAULT_MODEL, described

    return described(name or settings({}).engine.model or DEFAULT_MODEL)

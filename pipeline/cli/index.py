"""`fathom index`: documents into a collection."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ExitCode
from .exits import reported
from .options import (
    CollectionOption,
    JsonOption,
    as_path,
    settings,
)

if TYPE_CHECKING:
    from indexes.ingest.run import RunSettings

    from ..config import IndexSettings


app = typer.Typer()


@app.command()
def index(
    paths: Annotated[list[Path] | None, typer.Argument(parser=as_path, help="Files and folders to read.")] = None,
    collection: CollectionOption = None,
    embedding: Annotated[
        str | None, typer.Option(help='Embedding model: bundled name, folder or hub id; "none" for words only.')
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try unchanged files again that failed; without PATHS only those.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Move the collection aside, whatever it is, and make it anew.")
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Also read links to files outside of PATHS and to hidden files.")
    ] = False,
    max_file_mib: Annotated[int | None, typer.Option(help="Larger files fail, whole.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="A file that takes longer to read fails.")] = None,
    max_memory_mib: Annotated[int | None, typer.Option(help="A file that needs more to be read fails.")] = None,
    max_pages: Annotated[int | None, typer.Option(help="Documents of more pages fail.")] = None,
    processes: Annotated[int | None, typer.Option(help="Files read side by side; 0: one a core, at most 4.")] = None,
    ocr: Annotated[bool | None, typer.Option("--ocr/--no-ocr", help="Read scanned pages (extra `ocr`).")] = None,
    json: JsonOption = False,
) -> None:
    """Read documents into a collection; only what is new or changed is read again.

    Exit codes: 0 done, 1 error, 2 usage, 4 done but for files that could not be read.
    """
    with reported(json):
        from indexes.collection import FOLDER, Collection, find_collection
        from indexes.encoders.embedding import prepare_model
        from indexes.ingest.discovery import walk

        from ..session import open_collection
        from . import render as report
        from . import terminal
        from .progress import index_progress

        if not paths and (rebuild or not retry_failed):
            raise typer.BadParameter("name the files and folders to read", param_hint="PATHS")
        config = settings(
            {
                "index.embedding": embedding,
                "index.max_file_mib": max_file_mib,
                "index.max_seconds": max_seconds,
                "index.max_memory_mib": max_memory_mib,
                "index.max_pages": max_pages,
                "index.processes": processes,
                "index.ocr": ocr,
            }
        )
        run = _run_settings(config.index, retry_failed, follow_links)
        if paths:
            walk(paths, follow_links)  # a wrong path must not leave an empty collection behind
            folder = collection or find_collection(Path.cwd()) or Path.cwd() / FOLDER
            wanted = config.index.embedding or (_own_embedding(folder) if rebuild else None)
            named = prepare_model(wanted) if wanted else None
            aside = _moved_aside(folder, named) if rebuild else None
            opened = Collection.open_or_create(folder, named)
        else:
            opened, aside = open_collection(collection), None
        with closing(opened):
            with index_progress() as show:
                result = opened.add(paths, run, show) if paths else opened.retry_failed(run, show)
            result.moved_aside = str(aside or "")
            if json:
                terminal.out_json(result)
            else:
                for line in report.index_lines(result, str(opened.folder)):
                    terminal.out(line)
        if result.interrupted:
            terminal.note("fathom: interrupted; what was done is kept, the same command goes on")
            raise typer.Exit(ExitCode.INTERRUPTED)
        if result.failed or result.skipped.keys() & {path.name for path in paths or []}:
            raise typer.Exit(ExitCode.BATCH_FAILURES)


def _own_embedding(folder: Path) -> str | None:
    """The model of a collection that is to be made anew, where it is this user's own and can be opened."""
    from indexes.collection import Collection
    from indexes.errors import IndexesError

    try:
        with closing(Collection.open(folder)) as opened:
            return None if opened.trusted else opened.stats().embedding
    except IndexesError:
        return None


def _moved_aside(folder: Path, embedding: str | None) -> Path | None:
    """Where the collection went that stood in the new one's place. Raises EncoderError before it is moved."""
    from datetime import datetime

    from indexes.encoders.embedding import BUNDLED, make_encoder
    from indexes.storage.creation import move_aside
    from indexes.text.printable import printable

    from . import terminal

    make_encoder(embedding or BUNDLED)
    aside = move_aside(folder, datetime.now())
    if aside is not None:
        terminal.note(f"fathom: {printable(str(folder))} is now {printable(str(aside))}; delete it when you like")
    return aside


def _run_settings(config: "IndexSettings", retry_failed: bool, follow_links: bool) -> "RunSettings":
    from indexes.ingest.run import RunSettings
    from indexes.loaders.limits import OCR_SECONDS, LoadLimits
    from indexes.text.chunking import ChunkSizes

    usual = OCR_SECONDS if config.ocr else LoadLimits().max_seconds
    limits = LoadLimits(
        max_file_mib=config.max_file_mib,
        max_seconds=config.max_seconds or usual,
        max_memory_mib=config.max_memory_mib,
        max_characters=config.max_characters,
        max_pages=config.max_pages,
        ocr=config.ocr,
    )
    size = config.chunk_characters
    sizes = ChunkSizes(size, size * 4 // 3, size // 3)
    return RunSettings(limits, sizes, config.processes or None, retry_failed, follow_links)

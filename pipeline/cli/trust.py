"""The command about what came with documents and is to count as the user's own: trust."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .exits import reported
from .options import JsonOption, as_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..trusting import Offer

app = typer.Typer()


@app.command()
def trust(
    path: Annotated[
        Path | None,
        typer.Argument(parser=as_path, help="A fathom.toml, a collection, or a folder with either; else the nearest."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without a question.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List what is trusted.")] = False,
    revoke: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="PATH", help="Trust a settings file or a collection no longer."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Accept settings or a collection that came with documents, after showing what they say.

    A settings file counts until it changes. The files of a collection are read anew by the next `fathom index`.
    """
    with reported(json):
        from dataclasses import asdict

        from ..trusting import accept, offer, revoked, stale, trusted
        from . import terminal

        if listed:
            found = trusted()
            if json:
                terminal.out_json(found)
            else:
                gone = stale()
                for kind, paths in found.items():
                    for item in paths:
                        terminal.out(
                            f"{kind}: {item}" + (" (changed or gone, so it counts no longer)" if item in gone else "")
                        )
                if not any(found.values()):
                    terminal.note("nothing is trusted")
            return
        if revoke is not None:
            revoked(revoke)
            terminal.out_json({"revoked": str(revoke)}) if json else terminal.out(f"no longer trusted: {revoke}")
            return
        found_offer = offer(path, Path.cwd())
        for line in _lines(found_offer):
            terminal.note(line) if json else terminal.out(line)
        if found_offer.file or found_offer.collection:
            _confirm(yes)
            accept(found_offer)
        if json:
            file, collection = found_offer.file, found_offer.collection
            terminal.out_json(
                {
                    "settings": None if file is None else {"path": str(file.path), "sha256": file.sha256},
                    "sets": {item.name: item.value for item in found_offer.settings},
                    "collection": None if collection is None else asdict(collection),
                }
            )
        elif found_offer.file or found_offer.collection:
            terminal.out("trusted")
            if found_offer.collection:
                terminal.note("its texts are its sender's until the files are read: fathom index FOLDER")


def _lines(found: "Offer") -> "Iterator[str]":
    from indexes.text.printable import printable

    if found.file:
        yield f"{printable(str(found.file.path))} sets:"
        for item in found.settings:
            yield f"  {item.name} = {item.value}" + (f" (now: {item.now})" if item.now else "")
        if not found.settings:
            yield "  nothing"
    if found.collection:
        said = found.collection
        yield f"{printable(said.folder)} belongs to {printable(said.owner)} and says of itself:"
        yield f"  {said.documents:,} documents, {said.chunks:,} chunks, {said.files:,} files"
        yield f"  embedding model {printable(said.embedding)}, which a search would load"
    if not found.file and not found.collection:
        yield "this collection is yours or trusted already"


def _confirm(yes: bool) -> None:
    """Asks on a terminal. Raises ConfigError where nobody can answer, typer.Exit for a no."""
    from ..errors import ConfigError, ExitCode

    if yes:
        return
    if not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError("nobody is there to confirm", "look at what it says, then run it again with --yes")
    from . import terminal

    terminal.note("Trust it? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        terminal.note("fathom: not trusted; nothing was changed")
        raise typer.Exit(ExitCode.ERROR)

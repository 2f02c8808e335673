"""`fathom status`: what a collection holds."""

from contextlib import closing
from typing import Annotated

import typer

from .exits import reported
from .options import (
    CollectionOption,
    JsonOption,
    note_unread,
)

app = typer.Typer()


@app.command()
def status(
    collection: CollectionOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only files that could not be read.")] = False,
    files: Annotated[bool, typer.Option("--files", help="Also list the files that are indexed.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what a collection holds and which files could not be read."""
    with reported(json):
        from dataclasses import asdict

        from indexes.documents import FileState

        from ..session import open_collection
        from . import render as report
        from . import terminal

        with closing(open_collection(collection)) as opened:
            note_unread(opened)
            stats, records, notes = opened.stats(), opened.files(), opened.notes()
        if json:
            shown = [record for record in records if not failed or record.state is FileState.FAILED]
            listed = [{**asdict(record), "notes": notes.get(record.path, [])} for record in shown]
            terminal.out_json({**asdict(stats), "file_list": listed})
        else:
            for line in report.status_lines(stats, records, notes, failed, files):
                terminal.out(line)

"""`fathom remove`: documents out of a collection."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from .exits import reported
from .options import (
    CollectionOption,
    JsonOption,
    as_path,
)

app = typer.Typer()


@app.command()
def remove(
    paths: Annotated[
        list[Path], typer.Argument(parser=as_path, help="Files, folders, or names as `status --files` lists them.")
    ],
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Take documents out of a collection; the files stay, and indexing their folder brings them back."""
    with reported(json):
        from ..session import open_collection
        from . import terminal

        with closing(open_collection(collection)) as opened:
            names = opened.remove(paths)
        if json:
            terminal.out_json({"removed": names})
        else:
            for name in names:
                terminal.out(f"removed {name}")

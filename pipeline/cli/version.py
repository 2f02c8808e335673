"""`fathom version`: what is installed."""

from importlib.metadata import version as installed

import typer

from .exits import reported
from .options import JsonOption

app = typer.Typer()


@app.command()
def version(json: JsonOption = False) -> None:
    """Print the version."""
    with reported(json):
        from . import terminal

        number = installed("fathom-rag")
        terminal.out_json({"version": number}) if json else terminal.out(f"fathom {number}")

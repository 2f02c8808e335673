"""The `fathom` command: its commands in the order of its help. Packages load when a command runs."""

import typer

from . import ask, budget, doctor, index, models, remove, rope, search, status, trust, version
from .exits import Commands

app = typer.Typer(
    name="fathom",
    cls=Commands,
    help="Answers questions over large document collections, locally.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (ask, doctor, version, index, remove, status, search, budget):
    app.add_typer(part.app)
app.add_typer(models.app, name="models", help="Models of the embedded engine.", no_args_is_help=True)
app.add_typer(
    rope.app,
    name="rope",
    help="Rotary positions of a model, and how far they can be stretched.",
    no_args_is_help=True,
)
app.add_typer(trust.app)

"""`fathom models`: models of the embedded engine."""

from typing import Annotated

import typer

from .exits import reported
from .options import JsonOption, settings

app = typer.Typer()


@app.command("pull")
def models_pull(
    name: Annotated[str | None, typer.Argument(help="Bundled name, .gguf file or hub id; the default model.")] = None,
    measure: Annotated[bool, typer.Option(help="Measure the prefill speed here, which the router uses.")] = True,
    json: JsonOption = False,
) -> None:
    """Fetch a model, convert it if need be, and measure how fast this machine reads with it."""
    with reported(json):
        from ..measuring import pull_and_measure
        from . import terminal

        config = settings({"engine.model": name})
        stages = terminal.Stages()
        with stages.shown():
            result = pull_and_measure(config.engine, measure, stages.stage)
        if json:
            terminal.out_json(result)
        else:
            terminal.out(f"{result.model} in {result.folder}")
            for point in result.speeds:
                terminal.out(f"  {point.tokens:>6,} tokens read in {point.seconds:.1f} s")

"""`fathom rope`: rotary positions of a model, and how far they can be stretched."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .exits import reported
from .options import JsonOption, ModelArgument, ModelOption, PlotOption, as_path, described_model

app = typer.Typer()


@app.command("show")
def rope_show(
    model: ModelArgument = None,
    scale: Annotated[float | None, typer.Option(help="Stretch the trained length by this factor.")] = None,
    method: Annotated[
        Literal["yarn", "linear", "ntk", "dynamic", "longrope"], typer.Option(help="How to stretch.")
    ] = "yarn",
    factors: Annotated[
        Path | None, typer.Option(parser=as_path, metavar="FILE", help="LongRoPE's factors, a JSON file.")
    ] = None,
    emit: Annotated[
        Literal["vllm", "hf", "llama.cpp"] | None, typer.Option(help="Print only one engine's settings.")
    ] = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Show a model's rotary positions, what a scaling makes of them, and the settings for it."""
    with reported(json):
        from engine.errors import RopeError

        from . import terminal
        from .render_rope import rope_lines, rope_report, scaling_of, wavelength_plot

        found = described_model(model)
        report = rope_report(found.name, found.config, scaling_of(found.config, method, scale, factors))
        if plot:
            plot.write_text(wavelength_plot(report), encoding="utf-8")
            terminal.note(f"drawn: {plot}")
        if emit:
            if emit not in report.settings:
                raise RopeError(
                    report.unsaid.get(emit, f"{found.name} is not scaled: there is nothing to set"),
                    "name a scaling: --scale 4" if report.scaling is None else "use another --method",
                )
            terminal.out_json({emit: report.settings[emit]}) if json else terminal.out(report.settings[emit])
        elif json:
            terminal.out_json(report)
        else:
            for line in rope_lines(report):
                terminal.out(line)


@app.command("search")
def rope_search(
    text: Annotated[Path, typer.Argument(parser=as_path, help="A text of the kind that is to be read, UTF-8.")],
    out: Annotated[Path, typer.Option("--out", parser=as_path, metavar="FILE", help="Where the factors are written.")],
    model: ModelOption = None,
    scale: Annotated[float, typer.Option(help="Stretch the trained length by this factor.")] = 4.0,
    windows: Annotated[int, typer.Option(help="Of text; half are searched on, half only reported on.")] = 4,
    tokens: Annotated[int | None, typer.Option(help="Of a window; the stretched length where left out.")] = None,
    generations: Annotated[int, typer.Option(help="Of the search; the best is written after each.")] = 8,
    json: JsonOption = False,
) -> None:
    """Search LongRoPE's factors for a model on a text; a run that is stopped goes on from its best.

    Needs the weights. Every set of factors reads all windows once, so this is work for a GPU.
    """
    with reported(json):
        from ..rope_search import search_factors
        from . import terminal

        stages = terminal.Stages()
        with stages.shown():
            found = search_factors(described_model(model), text, out, scale, windows, tokens, generations, stages.stage)
        if json:
            terminal.out_json(found)
        else:
            for name, nats in found.held_out.items():
                terminal.out(f"{name:<10} {nats:.4f} nats a token on windows that were not searched on")
            terminal.out(f"{found.scored} sets of factors were tried; the best are in {out}")

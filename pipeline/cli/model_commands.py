"""Commands about models and what they need: models, rope, budget. Rooms load when a command runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .exits import reported
from .options import JsonOption, ModelOption, as_path, settings

if TYPE_CHECKING:
    from engine.estimates.capacity import Room
    from engine.models.resolution import ModelFiles

app = typer.Typer()
models_app = typer.Typer(help="Models of the embedded engine.", no_args_is_help=True)
rope_app = typer.Typer(help="Rotary positions of a model, and how far they can be stretched.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(rope_app, name="rope")

ModelArgument = Annotated[
    str | None,
    typer.Argument(help="Bundled name, folder, config.json, .gguf file or hub id that is here; the default model."),
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", parser=as_path, metavar="FILE", help="Draw it as an SVG file.")
]


@models_app.command("pull")
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


@rope_app.command("show")
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

        found = _model(model)
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


@rope_app.command("search")
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
            found = search_factors(_model(model), text, out, scale, windows, tokens, generations, stages.stage)
        if json:
            terminal.out_json(found)
        else:
            for name, nats in found.held_out.items():
                terminal.out(f"{name:<10} {nats:.4f} nats a token on windows that were not searched on")
            terminal.out(f"{found.scored} sets of factors were tried; the best are in {out}")


@app.command()
def budget(
    model: ModelArgument = None,
    context: Annotated[
        list[int] | None, typer.Option("--context", help="Tokens of a request; may be given several times.")
    ] = None,
    kv_dtype: Annotated[
        list[str] | None, typer.Option("--kv-dtype", help="Cache dtype, vLLM's names; may be given several times.")
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="A GPU's name (h100, h200, a100-80gb, l4 …); else this machine's.")
    ] = None,
    memory_gib: Annotated[float | None, typer.Option(help="Memory of one GPU, in place of the named one's.")] = None,
    gpus: Annotated[int, typer.Option(help="GPUs that share the model (tensor parallel).")] = 1,
    utilization: Annotated[float | None, typer.Option(help="The share of memory that vLLM may take.")] = None,
    plot: PlotOption = None,
    json: JsonOption = False,
) -> None:
    """Say what fits: tokens of KV cache, requests at once, and their times, from a model's config alone."""
    with reported(json):
        from engine.errors import EstimateError
        from engine.estimates.capacity import COMPARED, capacity

        from ..errors import ConfigError
        from . import terminal
        from .render_capacity import capacity_lines, capacity_plot

        found = _model(model)
        room = _room(gpu, memory_gib, gpus, utilization)
        try:
            result = capacity(
                found.name, found.config, room, tuple(kv_dtype or COMPARED), tuple(context or ()), found.folder
            )
        except EstimateError as error:  # of the options, not of the model
            raise ConfigError(str(error), error.hint) from error
        if plot:
            plot.write_text(capacity_plot(result), encoding="utf-8")
            terminal.note(f"drawn: {plot}")
        if json:
            terminal.out_json(result)
        else:
            for line in capacity_lines(result):
                terminal.out(line)


def _model(name: str | None) -> "ModelFiles":
    from engine.models.resolution import DEFAULT_MODEL, described

    return described(name or settings({}).engine.model or DEFAULT_MODEL)


def _room(gpu: str | None, memory_gib: float | None, gpus: int, utilization: float | None) -> "Room":
    """The device of the options. Raises ConfigError where there is neither a GPU here nor one named."""
    from engine.estimates.capacity import Room
    from engine.estimates.devices import device, known_device
    from engine.kv.geometry import GIB
    from engine.preview import CPU, device_name

    from ..errors import ConfigError

    if memory_gib is not None and not 0 < memory_gib < 1e6:
        raise ConfigError(f"{memory_gib:g} GiB is no GPU's memory", "give one such as --memory-gib 80")
    share = utilization if utilization is not None else settings({}).engine.gpu_memory_utilization
    if gpu is not None:
        named = device(gpu)
        memory = named.memory_bytes if memory_gib is None else int(memory_gib * GIB)
        return Room(named.name, memory, share, gpus, named.ceilings(gpus) if gpus > 0 else None)
    if memory_gib is not None:
        return Room(f"a GPU of {memory_gib:g} GiB", int(memory_gib * GIB), share, gpus)
    name = device_name()
    if name == CPU:
        raise ConfigError("there is no GPU here", "name one: --gpu h200, or its memory: --memory-gib 80")
    import torch

    known = known_device(name)
    memory = int(torch.cuda.get_device_properties(0).total_memory)
    return Room(name, memory, share, gpus, known.ceilings(gpus) if known and gpus > 0 else None)

"""`fathom budget`: what fits, by arithmetic alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from .exits import reported
from .options import JsonOption, ModelArgument, PlotOption, described_model, settings

if TYPE_CHECKING:
    from engine.estimates.capacity import Room


app = typer.Typer()


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

        found = described_model(model)
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

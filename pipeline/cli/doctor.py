"""`fathom doctor`: what is here, what is missing, and what to do about it."""

from typing import Annotated

import typer

from ..errors import ExitCode
from .exits import reported
from .options import CollectionOption, EngineOption, JsonOption, ModelOption, loaded_settings

app = typer.Typer()


@app.command()
def doctor(
    collection: CollectionOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare the files of model and collection with their checksums.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say what is here, what is missing, and what to do about it."""
    with reported(json):
        from dataclasses import asdict

        from . import terminal
        from .checks import Health, examine

        loaded = loaded_settings({"engine.model": model, "engine.url": engine})
        findings = []
        for finding in examine(loaded.config, collection, deep, loaded):
            findings.append(finding)
            if not json:
                terminal.out(f"{finding.health.value:<8} {finding.name}: {finding.found}")
                if finding.hint:
                    terminal.out(f"{'':<8} → {finding.hint}")
        if json:
            terminal.out_json({"findings": [asdict(finding) for finding in findings]})
        if any(finding.health is Health.PROBLEM for finding in findings):
            raise typer.Exit(ExitCode.ERROR)

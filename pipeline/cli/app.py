"""The `fathom` command: arguments in, records out. Rooms load when a command runs."""

import sys
from importlib.metadata import version
from typing import Annotated, Literal

import typer

from ..errors import ExitCode
from . import collection_commands, model_commands
from . import trust as trust_commands
from .exits import Commands, reported
from .options import (
    CollectionOption,
    EngineOption,
    JsonOption,
    ModelOption,
    RerankerOption,
    loaded_settings,
    question_of,
    settings,
)

app = typer.Typer(
    name="fathom",
    cls=Commands,
    help="Answers questions over large document collections, locally.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(collection_commands.app)
app.add_typer(model_commands.app)
app.add_typer(trust_commands.app)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help='The question; "-" reads it from stdin.')],
    route: Annotated[
        Literal["auto", "chunked", "native"] | None, typer.Option(help="Read chunks, or documents whole.")
    ] = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    reranker: RerankerOption = None,
    collection: CollectionOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Tell route, limits, reading and times (stderr).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and pack, but start no engine.")] = False,
    json: JsonOption = False,
) -> None:
    """Answer a question from the documents, with citations that were checked.

    Exit codes: 0 answered, 1 error, 2 usage, 3 no supported answer.
    """
    with reported(json):
        from indexes.search.ranking import check_query

        from ..session import Session
        from . import render as report
        from . import terminal

        text = question_of(question)
        check_query(text)
        flags = {"router.route": route, "engine.model": model, "engine.url": engine, "retrieval.reranker": reranker}
        config = settings(flags)
        stages = terminal.Stages()
        with Session.open(collection, config) as session, stages.shown():
            stages.stage("preparing")
            from ..qa.state import Listener

            answer = session.ask(text, Listener(stages.stage, stages.text), dry_run)
        if json:
            terminal.out_json(answer)
        elif not dry_run:
            for line in report.answer_lines(answer):
                terminal.out(line)
        if explain or (dry_run and not json):
            show = terminal.out if dry_run and not json else terminal.note
            for line in report.explanation(answer):
                show(line)
        elif not json and terminal.watched(sys.stderr):
            terminal.note(report.route_line(answer))
        raise typer.Exit(answer.exit_code)


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


@app.command(name="version")
def show_version() -> None:
    """Print the version."""
    typer.echo(f"fathom {version('fathom-rag')}")

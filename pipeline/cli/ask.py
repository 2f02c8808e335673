"""`fathom ask`: a question, and its answer with citations."""

import sys
from typing import Annotated, Literal

import typer

from .exits import reported
from .options import (
    CollectionOption,
    EngineOption,
    JsonOption,
    ModelOption,
    RerankerOption,
    note_unread,
    question_of,
    settings,
)

app = typer.Typer()


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
            note_unread(session.collection)
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

"""`fathom search`: passages without a language model."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import ExitCode
from .exits import reported
from .options import (
    CollectionOption,
    JsonOption,
    RerankerOption,
    note_unread,
    question_of,
    settings,
)

app = typer.Typer()


@app.command()
def search(
    query: Annotated[str, typer.Argument(help='What to look for; "-" reads it from stdin.')],
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 10,
    mode: Annotated[Literal["hybrid", "lexical", "dense"] | None, typer.Option(help="Which indexes rank.")] = None,
    reranker: RerankerOption = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Search what readers of the files do not see, by words.")
    ] = False,
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Find the passages that match best, without a language model."""
    with reported(json):
        from indexes.search.ranking import check_query

        from ..session import Session
        from . import render as report
        from . import terminal

        question = question_of(query)
        check_query(question)
        if hidden:
            _search_hidden(question, k, collection, json)
            return
        config = settings({"retrieval.mode": mode, "retrieval.reranker": reranker})
        with Session.open(collection, config) as session:
            note_unread(session.collection)
            result = session.search(question, k)
        if json:
            terminal.out_json(result)
        else:
            for line in report.search_lines(result):
                terminal.out(line)
        if not result.hits:
            raise typer.Exit(ExitCode.NO_ANSWER)


def _search_hidden(question: str, k: int, collection: Path | None, json: bool) -> None:
    from dataclasses import asdict

    from ..session import open_collection
    from . import render as report
    from . import terminal

    with closing(open_collection(collection)) as opened:
        found = opened.search_hidden(question, k)
    if json:
        terminal.out_json({"query": question, "hidden": [asdict(hit) for hit in found]})
    else:
        for line in report.hidden_lines(found):
            terminal.out(line)
    if not found:
        raise typer.Exit(ExitCode.NO_ANSWER)

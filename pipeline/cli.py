"""The `fathom` command: arguments in, records out. Rooms load when a command runs."""

import os
import sys
from contextlib import closing
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .errors import ExitCode
from .failures import JSON_FLAG, Commands, reported

if TYPE_CHECKING:
    from indexes.collection import Collection

    from .config import Config

app = typer.Typer(
    name="fathom",
    cls=Commands,
    help="Answers questions over large document collections, locally.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Models of the embedded engine.", no_args_is_help=True)
app.add_typer(models_app, name="models")


def _path(text: str) -> Path:
    """The path; an empty one, which often is a variable that was never set, is not the current folder."""
    if not text.strip():
        raise typer.BadParameter("the path is empty")
    return Path(text)


CollectionOption = Annotated[
    Path | None,
    typer.Option(
        "--collection",
        "-C",
        parser=_path,
        metavar="FOLDER",
        help="The collection's folder; else .fathom/ here or in a folder above.",
    ),
]
JsonOption = Annotated[bool, typer.Option(JSON_FLAG, help="Print one JSON object on stdout.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Bundled name, folder, .gguf file or hub id (owner/name).")
]
EngineOption = Annotated[
    str | None, typer.Option("--engine", help="URL of an OpenAI-compatible server, in place of the embedded vLLM.")
]


@app.command()
def index(
    paths: Annotated[list[Path], typer.Argument(parser=_path, help="Files and folders to read.")],
    collection: CollectionOption = None,
    embedding: Annotated[
        str | None, typer.Option(help='Embedding model: bundled name, folder or hub id; "none" for words only.')
    ] = None,
    max_file_mib: Annotated[int | None, typer.Option(help="Larger files fail, whole.")] = None,
    json: JsonOption = False,
) -> None:
    """Read documents into a collection; only what is new or changed is read again."""
    with reported(json):
        from indexes.chunking import ChunkSizes
        from indexes.collection import FOLDER, Collection, find_collection
        from indexes.loaders import LoadLimits
        from indexes.walking import walk

        from . import report, terminal

        config = _config({"index.embedding": embedding, "index.max_file_mib": max_file_mib})
        walk(paths)  # a wrong path must not leave an empty collection behind
        folder = collection or find_collection(Path.cwd()) or Path.cwd() / FOLDER
        size = config.index.chunk_characters
        sizes = ChunkSizes(size, size * 4 // 3, size // 3)
        with closing(Collection.open_or_create(folder, config.index.embedding)) as opened:
            with terminal.index_progress() as show:
                result = opened.add(paths, LoadLimits(max_file_mib=config.index.max_file_mib), sizes, show)
            if json:
                terminal.out_json(result)
            else:
                for line in report.index_lines(result, str(opened.folder)):
                    terminal.out(line)
        if result.failed or result.skipped.keys() & {path.name for path in paths}:
            raise typer.Exit(ExitCode.BATCH_FAILURES)


@app.command()
def status(
    collection: CollectionOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only files that could not be read.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what a collection holds and which files could not be read."""
    with reported(json):
        from dataclasses import asdict

        from indexes.documents import FileState

        from . import report, terminal

        with closing(_open(collection)) as opened:
            stats, files = opened.stats(), opened.files()
        if json:
            shown = [file for file in files if not failed or file.state is FileState.FAILED]
            terminal.out_json({**asdict(stats), "file_list": [asdict(file) for file in shown]})
        else:
            for line in report.status_lines(stats, files, failed):
                terminal.out(line)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help='What to look for; "-" reads it from stdin.')],
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 10,
    mode: Annotated[Literal["hybrid", "lexical", "dense"] | None, typer.Option(help="Which indexes rank.")] = None,
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Find the passages that match best, without a language model."""
    with reported(json):
        from indexes.ranking import SearchMode, check_query

        from . import report, terminal

        question = _question(query)
        check_query(question)
        config = _config({"retrieval.mode": mode})
        chosen = SearchMode(config.retrieval.mode) if config.retrieval.mode else None
        with closing(_open(collection)) as opened:
            result = opened.search(question, k, chosen)
        if json:
            terminal.out_json(result)
        else:
            for line in report.search_lines(result):
                terminal.out(line)
        if not result.hits:
            raise typer.Exit(ExitCode.NO_ANSWER)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help='The question; "-" reads it from stdin.')],
    route: Annotated[
        Literal["auto", "chunked", "native"] | None, typer.Option(help="Read chunks, or documents whole.")
    ] = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    collection: CollectionOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="Tell route, limits, reading and times (stderr).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and pack, but start no engine.")] = False,
    json: JsonOption = False,
) -> None:
    """Answer a question from the documents, with citations that were checked.

    Exit codes: 0 answered, 1 error, 2 usage, 3 no supported answer.
    """
    with reported(json):
        from indexes.ranking import check_query

        from . import report, terminal

        text = _question(question)
        check_query(text)
        config = _config({"router.route": route, "engine.model": model, "engine.url": engine})
        stages = terminal.Stages()
        with closing(_open(collection)) as opened, stages.shown():
            stages.stage("preparing")
            from .engines import engine_source
            from .graph import ask as run_graph
            from .state import Listener, Surroundings

            listener = Listener(stages.stage, stages.text)
            with closing(engine_source(config.engine)) as source:
                answer = run_graph(text, Surroundings(config, opened, source, listener, dry_run))
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
    deep: Annotated[bool, typer.Option("--deep", help="Also compare the model's files with their checksums.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is here, what is missing, and what to do about it."""
    with reported(json):
        from dataclasses import asdict

        from . import terminal
        from .doctor import Health, examine

        config = _config({"engine.model": model, "engine.url": engine})
        findings = []
        for finding in examine(config, collection, deep):
            findings.append(finding)
            if not json:
                terminal.out(f"{finding.health.value:<8} {finding.name}: {finding.found}")
                if finding.hint:
                    terminal.out(f"{'':<8} → {finding.hint}")
        if json:
            terminal.out_json({"findings": [asdict(finding) for finding in findings]})
        if any(finding.health is Health.PROBLEM for finding in findings):
            raise typer.Exit(ExitCode.ERROR)


@models_app.command("pull")
def models_pull(
    name: Annotated[str | None, typer.Argument(help="Bundled name, .gguf file or hub id; the default model.")] = None,
    measure: Annotated[bool, typer.Option(help="Measure the prefill speed here, which the router uses.")] = True,
    json: JsonOption = False,
) -> None:
    """Fetch a model, convert it if need be, and measure how fast this machine reads with it."""
    with reported(json):
        from . import terminal
        from .measuring import pull_and_measure

        config = _config({"engine.model": name})
        stages = terminal.Stages()
        with stages.shown():
            result = pull_and_measure(config.engine, measure, stages.stage)
        if json:
            terminal.out_json(result)
        else:
            terminal.out(f"{result.model} in {result.folder}")
            for point in result.speeds:
                terminal.out(f"  {point.tokens:>6,} tokens read in {point.seconds:.1f} s")


@app.command(name="version")
def show_version() -> None:
    """Print the version."""
    typer.echo(f"fathom {version('fathom-rag')}")


def main() -> None:
    """Entry point of the console script; other rooms add commands in the group `fathom.commands`."""
    for entry in entry_points(group="fathom.commands"):
        entry.load()(app)
    app(prog_name="fathom")


def _config(flags: dict[str, Any]) -> "Config":
    from .config import load_config

    return load_config(Path.cwd(), flags)


def _open(folder: Path | None) -> "Collection":
    from indexes.collection import FOLDER, Collection, find_collection
    from indexes.errors import CollectionMissingError

    found = folder or find_collection(Path.cwd())
    if found is None:
        raise CollectionMissingError(
            f"there is no collection ({FOLDER}/) in {Path.cwd()} or above it", "make one: fathom index FOLDER"
        )
    return Collection.open(found)


def _question(text: str) -> str:
    """The question of an argument, "-" standing for stdin. Raises QueryError for one that is not UTF-8."""
    from indexes.errors import QueryError

    raw = os.fsencode(text)
    if text == "-":
        raw = sys.stdin.buffer.read() if sys.stdin else b""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise QueryError(f"the question is not UTF-8 text: {error.reason}", "write it in UTF-8") from error

"""Mistakes at the command line: two lines, the right exit code, an object under --json, and nothing lost."""

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexes.collection import Collection
from pipeline.config import FILE
from pipeline.errors import ExitCode
from tests.support.commands import FAKE, indexed, ok, process, run, told
from tests.support.files import write
from tests.support.questions import FILES, QUESTION


@contextmanager
def closed_port() -> Iterator[str]:
    with socket.socket() as held:  # bound and not listening: refuses, and nobody else takes it
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@dataclass(frozen=True)
class Mistake:
    """A wrong command, the exit code, and words of its message and of the next step."""

    arguments: tuple[str, ...]
    code: ExitCode
    message: str
    hint: str
    stdin: str | None = None
    settings: str | None = None
    environ: tuple[str, str] | None = None


ERROR, USAGE = ExitCode.ERROR, ExitCode.USAGE
ASK = ("ask", QUESTION)
MISTAKES = {
    "no path": Mistake(("index",), USAGE, "name the files and folders to read", "fathom index --help"),
    "an empty path": Mistake(("index", ""), USAGE, "the path is empty", "fathom index --help"),
    "an empty path among others": Mistake(("index", "docs", " "), USAGE, "the path is empty", "fathom index --help"),
    "an empty collection": Mistake(("search", "x", "-C", ""), USAGE, "the path is empty", "fathom search --help"),
    "a missing path": Mistake(("index", "nowhere"), ERROR, "nowhere does not exist", "spelling"),
    "a missing path among others": Mistake(("index", "docs", "nowhere"), ERROR, "does not exist", "spelling"),
    "a path too long": Mistake(("index", "x" * 5000), ERROR, "cannot be looked up", "another path"),
    "an empty folder": Mistake(("index", "hollow"), ERROR, "no readable documents in hollow", ".pdf"),
    "a folder of other files": Mistake(("index", "other"), ERROR, "no readable documents in other", ".pdf"),
    "another embedding": Mistake(("index", "docs", "--embedding", "hash"), ERROR, "'none', not 'hash'", "--embedding"),
    "an empty embedding": Mistake(("index", "docs", "--embedding", ""), USAGE, "index.embedding = ''", "README"),
    "a size of nothing": Mistake(("index", "docs", "--max-file-mib", "0"), USAGE, "index.max_file_mib = 0", "README"),
    "a file in place of a collection": Mistake(("index", "docs", "-C", "docs/weather.txt"), ERROR, "weather", "path"),
    "no time at all": Mistake(("index", "docs", "--max-seconds", "0"), USAGE, "index.max_seconds = 0", "README"),
    "no memory": Mistake(("index", "docs", "--max-memory-mib", "1"), USAGE, "index.max_memory_mib = 1", "README"),
    "nothing to remove": Mistake(("remove",), USAGE, "Missing argument 'paths'", "fathom remove --help"),
    "removing a stranger": Mistake(("remove", "nowhere"), ERROR, "nowhere is not in the collection", "status --files"),
    "no question": Mistake(("ask", *FAKE), USAGE, "Missing argument 'question'", "fathom ask --help"),
    "an empty question": Mistake(("ask", "", *FAKE), USAGE, "the question is empty", "in quotes"),
    "a blank question": Mistake(("ask", " \t\n ", *FAKE), USAGE, "the question is empty", "in quotes"),
    "a question without words": Mistake(("ask", "?!", *FAKE), USAGE, "holds no word", "in quotes"),
    "a very long question": Mistake(("ask", "fee " * 12500, *FAKE), USAGE, "50,000 characters", "index it"),
    "a very long search": Mistake(("search", "x" * 50_000), USAGE, "50,000 characters", "index it"),
    "nothing on stdin": Mistake(("ask", "-", *FAKE), USAGE, "the question is empty", "in quotes", stdin=""),
    "blanks on stdin": Mistake(("search", "-"), USAGE, "the question is empty", "in quotes", stdin=" \n\n"),
    "too much on stdin": Mistake(("search", "-"), USAGE, "50,000 characters", "index it", stdin="x" * 50_000),
    "no passages": Mistake(("search", "x", "-k", "0"), USAGE, "k must be at least 1, got 0", "-k"),
    "fewer than none": Mistake(("search", "x", "-k", "-3"), USAGE, "k must be at least 1, got -3", "-k"),
    "passages in words": Mistake(("search", "x", "-k", "ten"), USAGE, "'-k'", "fathom search --help"),
    "another mode": Mistake(("search", "x", "--mode", "best"), USAGE, "'best' is not one of", "fathom search --help"),
    "vectors not there": Mistake(("search", "x", "--mode", "dense"), ERROR, "without vectors", "--mode lexical"),
    "another route": Mistake((*ASK, "--route", "best"), USAGE, "'best' is not one of", "fathom ask --help"),
    "an unknown flag": Mistake((*ASK, "--fast"), USAGE, "No such option: --fast", "fathom ask --help"),
    "a flag without value": Mistake((*ASK, "--route"), USAGE, "--route", "--help"),
    "an unknown command": Mistake(("aks", "x"), USAGE, "No such command 'aks'. Did you mean 'ask'?", "fathom --help"),
    "one argument too many": Mistake(("search", "a", "b"), USAGE, "unexpected extra argument", "fathom search --help"),
    "an unknown model": Mistake((*ASK, "--model", "nonesuch"), ERROR, "there is no model 'nonesuch'", "hub id"),
    "a hub model not fetched": Mistake((*ASK, "--model", "no/such"), ERROR, "not been fetched", "fathom models pull"),
    "a model folder without a model": Mistake(
        (*ASK, "--model", "./docs"), ERROR, "docs holds no model", "Hugging Face"
    ),
    "a model to fetch": Mistake(("models", "pull", "nonesuch"), ERROR, "there is no model 'nonesuch'", "hub id"),
    "the default model not fetched": Mistake(ASK, ERROR, "has not been fetched yet", "fathom models pull"),
    "an address without scheme": Mistake(
        (*ASK, "--engine", "localhost:80"), USAGE, "expected an address such as", "README"
    ),
    "an address of nonsense": Mistake((*ASK, "--engine", "ht!tp://?"), USAGE, "expected an address such as", "README"),
    "an address without end": Mistake((*ASK, "--engine", "http://[::1"), USAGE, "engine.url", "README"),
    "an empty address": Mistake(("doctor", "--engine", ""), USAGE, "engine.url = ''", "README"),
    "a missing collection": Mistake(("status", "-C", "nowhere"), ERROR, "no collection in nowhere", "fathom index"),
    "an old collection": Mistake(("search", "x", "-C", "old"), ERROR, "format 2 or older", "--rebuild"),
    "a broken collection": Mistake((*ASK, *FAKE, "-C", "broken"), ERROR, "is damaged", "fathom index"),
    "an old collection to index into": Mistake(("index", "docs", "-C", "old"), ERROR, "format 2 or older", "--rebuild"),
    "a document too long for native": Mistake(
        ("ask", "ant", "--route", "native", *FAKE, "-C", "long"), ERROR, "no whole document fits", "--route chunked"
    ),
    "a file that is no TOML": Mistake(("search", "x"), USAGE, "cannot be read", "correct", settings="[search"),
    "an unknown key": Mistake(
        ("search", "x"), USAGE, "unknown setting 'retrieval.kk'", "chunks", settings="[retrieval]\nkk = 1"
    ),
    "an unknown section": Mistake(
        (*ASK, *FAKE), USAGE, "unknown setting 'rooter'", "router", settings="[rooter]\na = 1"
    ),
    "a wrong type": Mistake(
        ("index", "docs"), USAGE, "index.max_file_mib = 'big'", "README", settings="[index]\nmax_file_mib = 'big'"
    ),
    "an unknown variable": Mistake(
        ("search", "x"), USAGE, "FATHOM_SPEED is unknown", "FATHOM_SECTION_KEY", environ=("FATHOM_SPEED", "1")
    ),
    "a wrong type in a variable": Mistake(
        ("doctor",), USAGE, "engine.threads = 'all'", "README", environ=("FATHOM_ENGINE_THREADS", "all")
    ),
}


@pytest.fixture
def house(room: Path) -> Path:
    """The room with what mistakes need beside it: an old, a broken and a long collection, folders without documents."""
    (room / "hollow").mkdir()
    write(room / "other", {"picture.png": b"\x89PNG\r\n", "x.zip": b"PK\x03\x04", "noname": "text"})
    for name in ("old", "broken"):
        Collection.open_or_create(room / name, "none").close()
    with closing(sqlite3.connect(room / "old" / "collection.sqlite")) as database:
        database.execute("PRAGMA user_version = 0")
        database.commit()
    for file in (room / "broken").glob("collection.sqlite*"):
        file.write_bytes(b"no database at all" * 100)
    with closing(Collection.open_or_create(room / "long", "none")) as long:
        long.add([write(room / "ants", {"a.txt": "An ant walks. " * 3000})])
    return room


def _prepare(mistake: Mistake, house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if mistake.settings is not None:
        (house / FILE).write_text(mistake.settings, encoding="utf-8")
    if mistake.environ is not None:
        monkeypatch.setenv(*mistake.environ)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_in_two_lines_and_loses_nothing(
    house: Path, monkeypatch: pytest.MonkeyPatch, mistake: Mistake
) -> None:
    before, listing = indexed(house), sorted(path.name for path in house.iterdir())
    _prepare(mistake, house, monkeypatch)
    result = run(*mistake.arguments, stdin=mistake.stdin)
    assert isinstance(result.exception, SystemExit)
    message, hint = told(result.stderr)
    assert (result.exit_code, result.stdout) == (mistake.code, "")
    assert mistake.message in message
    assert mistake.hint in hint
    assert indexed(house) == before
    assert sorted(path.name for path in house.iterdir() if path.name != FILE) == listing


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_with_json_a_mistake_is_an_object_too(house: Path, monkeypatch: pytest.MonkeyPatch, mistake: Mistake) -> None:
    _prepare(mistake, house, monkeypatch)
    result = run(*mistake.arguments[:1], "--json", *mistake.arguments[1:], stdin=mistake.stdin)
    if mistake.arguments[0] == "models":
        result = run(*mistake.arguments, "--json")
    error = json.loads(result.stdout)["error"]
    assert error.keys() == {"kind", "message", "hint"}
    assert (error["message"], error["hint"]) == told(result.stderr)
    assert result.exit_code == mistake.code


PROCESS_MISTAKES = (
    "an empty path",
    "an unknown flag",
    "a broken collection",
    "a file that is no TOML",
    "an unknown model",
)


@pytest.mark.parametrize("name", PROCESS_MISTAKES)
def test_a_process_ends_the_same_way(house: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    mistake = MISTAKES[name]
    _prepare(mistake, house, monkeypatch)
    done = process(*mistake.arguments)
    message, _ = told(done.stderr.decode())
    assert (done.returncode, done.stdout, mistake.message in message) == (mistake.code, b"", True)


def test_without_a_collection_the_next_step_is_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (("search", "x"), ("ask", "x", *FAKE), ("status",)):
        result = run(*arguments)
        message, hint = told(result.stderr)
        assert (result.exit_code, hint) == (ExitCode.ERROR, "make one: fathom index FOLDER")
        assert "there is no collection (.fathom/)" in message
    assert not (tmp_path / ".fathom").exists()


@pytest.mark.parametrize("arguments", [("nowhere",), ("docs", "--embedding", ""), ("docs", "--max-file-mib", "0")])
def test_a_first_index_with_a_mistake_leaves_no_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "docs", FILES)
    told(run("index", *arguments).stderr)
    assert not (tmp_path / ".fathom").exists()


@pytest.mark.parametrize("command", [("ask", QUESTION), ("doctor",)])
def test_an_engine_that_refuses_is_named(room: Path, command: tuple[str, ...]) -> None:
    with closed_port() as url:
        result = run(*command, "--engine", url)
    assert result.exit_code == ExitCode.ERROR
    assert f"no engine answers at {url}" in result.output
    assert "vllm serve" in result.output


def test_help_without_a_command_is_usage(room: Path) -> None:
    for arguments in ((), ("models",)):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
        assert result.stderr.startswith("Usage: fathom")
    assert ok("--help").startswith("Usage: fathom")


def test_bytes_that_are_no_text_are_told(room: Path) -> None:
    for done in (process("search", b"caf\xe9"), process("search", "-", stdin=b"\xff\xfe\x00")):
        message, _ = told(done.stderr.decode())
        assert (done.returncode, done.stdout) == (ExitCode.USAGE, b"")
        assert "not UTF-8" in message

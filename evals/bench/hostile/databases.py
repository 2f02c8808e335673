"""Variants of the index: one that others packed, whole or forged, and damage to one of the user's own."""

import json
import os
import random
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .arena import Arena
from .case import Case, Pack
from .folders import DOCTOR, INDEX, REBUILD, SEARCH, TRUE_TEXT, TRUST, document
from .forging import forge

_FLIPS = 40  # of the database, and as many of the index files
_DATABASE = Path(".fathom", "collection.sqlite")
_SENT = ("index", ".", "--embedding", "none")


def database_cases() -> list[Case]:
    """Some hundred variants."""
    return [*_shipped_cases(), *_forged_cases(), *_flip_cases()]


def _shipped(statements: tuple[str, ...] = (), after: Pack = lambda _: None) -> Pack:
    """The room comes with an index that its sender made with this very fathom, and then changed."""

    def pack(arena: Arena) -> None:
        document(arena)
        for number in range(4):
            (arena.room / f"annex-{number}.txt").write_text(
                f"Annex {number}. The deposit is {number + 3} thousand euros."
            )
        _as_sender(arena, *_SENT)
        forge(arena.room / _DATABASE, statements)
        _moved_like_an_archive(arena.room / ".fathom")
        after(arena)

    return pack


def _as_sender(arena: Arena, *command: str) -> None:
    sender = arena.root / "sender"
    arena.run(*command, FATHOM_HOME=str(sender / "data"), FATHOM_CACHE=str(sender / "cache"))
    arena.ran.clear()


def _moved_like_an_archive(folder: Path) -> None:
    """Unpacking makes new folders and files with the old times."""
    aside = folder.with_name("packed")
    shutil.copytree(folder, aside, symlinks=True)
    shutil.rmtree(folder)
    aside.rename(folder)


_FALSE_TEXT = ("UPDATE chunks SET text = replace(text, '1 million', '9 million')",)


def _shipped_cases() -> Iterator[Case]:
    """What is refused unless it is made anew or trusted by name."""
    nine = ("9 million",)
    refused = frozenset({1})
    for command in (SEARCH, ("ask", "What is the liability cap?", "--engine", "fake://", "--json"), _SENT):
        yield Case(
            "database",
            f"a shipped index with a false text: {command[0]}",
            _shipped(_FALSE_TEXT),
            (command,),
            never=nine,
            must=("--rebuild", "fathom trust"),
            codes=refused,
        )
    yield Case(
        "database",
        "a shipped index with a false text, made anew",
        _shipped(_FALSE_TEXT),
        (REBUILD, SEARCH),
        never=nine,
        must=("1 million",),
    )
    yield Case(
        "database",
        "a shipped index with a false text, trusted and read once",
        _shipped(_FALSE_TEXT),
        (TRUST, INDEX, SEARCH),
        never=nine,
    )
    yield Case(
        "database",
        "an index of others unpacked over the user's own",
        _over_own,
        (SEARCH, INDEX, SEARCH),
        never=nine,
    )


def _over_own(arena: Arena) -> None:
    document(arena)
    arena.run(*INDEX)
    arena.ran.clear()
    mine = arena.room / ".fathom"
    aside = arena.root / "mine"
    mine.rename(aside)
    _shipped(_FALSE_TEXT)(arena)
    theirs = (arena.room / _DATABASE).read_bytes()
    shutil.rmtree(mine)
    aside.rename(mine)
    (arena.room / _DATABASE).write_bytes(theirs)


_FORGERIES: dict[str, tuple[str, ...]] = {
    "a trigger that deletes": ("CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM documents; END",),
    "a trigger that lies": (
        "CREATE TRIGGER t AFTER INSERT ON chunks BEGIN UPDATE chunks SET text = 'The cap is 9 million.'; END",
    ),
    "an endless view for a table": (
        "ALTER TABLE chunks RENAME TO other",
        "CREATE VIEW chunks AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id FROM n",
    ),
    "a view for the list of segments": (
        "DROP TABLE segments",
        "CREATE VIEW segments AS SELECT '../../..' name, 1 first_chunk, 1 last_chunk, 1 chunks, '[]' files",
    ),
    "a segment's name that leads out": (
        "UPDATE segments SET name = '../../../home/papers'",
        "INSERT INTO dead VALUES (1)",
    ),
    "a segment's name that is absolute": ("UPDATE segments SET name = '/etc'",),
    "a segment's files that lead out": ('UPDATE segments SET files = \'[["../../../../etc/passwd", 1, "x"]]\'',),
    "a segment's files nested deeply": (f"UPDATE segments SET files = '{'[' * 50_000}'",),
    "pages nested deeply": (f"UPDATE documents SET pages = '{'[' * 50_000}'",),
    "a file's path that leads out": (
        "UPDATE files SET path = '../home/.ssh/id_rsa', state = 'failed', document_id = NULL WHERE name GLOB '*3.txt'",
    ),
    "a file's path that is absolute": (
        "UPDATE files SET path = '/etc/passwd', state = 'failed', document_id = NULL WHERE name GLOB '*3.txt'",
    ),
    "a state that there is not": ("UPDATE files SET state = 'evil'",),
    "a generation that is no number": ("UPDATE meta SET value = 'x' WHERE key = 'generation'",),
    "a huge generation": (f"UPDATE meta SET value = '{'9' * 5000}' WHERE key = 'generation'",),
    "an embedding of a hub": ("UPDATE meta SET value = 'evil/embedding' WHERE key = 'embedding'",),
    "an embedding of the room": ("UPDATE meta SET value = './model' WHERE key = 'embedding'",),
    "a huge text": ("UPDATE chunks SET text = hex(zeroblob(200000000))",),
    "a huge chunk id": ("UPDATE sqlite_sequence SET seq = 9223372036854775807", "INSERT INTO dead VALUES (-5)"),
    "chunk ids that overlap": (
        "UPDATE segments SET first_chunk = -9223372036854775808, last_chunk = 9223372036854775807",
    ),
    "escape sequences in titles": ("UPDATE documents SET title = char(27) || '[2J', name = char(27) || ']0;x'",),
    "another format": ("UPDATE meta SET value = '99' WHERE key = 'format_version'",),
    "no meta": ("DELETE FROM meta",),
    "a generated column": ("ALTER TABLE chunks ADD COLUMN evil TEXT AS (hex(zeroblob(1000000000)))",),
    "an index on an expression": ("CREATE INDEX evil ON chunks(hex(text))",),
    "a table more": ("CREATE TABLE evil (x)",),
}


def _forged_cases() -> Iterator[Case]:
    """What an index of others may hold; its user has trusted it by name."""
    for name, statements in _FORGERIES.items():
        yield Case(
            "database",
            f"trusted, with {name}",
            _shipped(statements),
            (TRUST, SEARCH, ("index", "--retry-failed"), INDEX, ("remove", "annex-1.txt"), SEARCH, DOCTOR),
            never=("root:x:",),
        )
    for name, pack in {"a journal that names a file": _journal, "a pipe for the database": _pipe}.items():
        yield Case("database", f"shipped with {name}", _shipped(after=pack), (TRUST, SEARCH, INDEX, DOCTOR))


def _journal(arena: Arena) -> None:
    """SQLite plays a journal back, and deletes the file that its last bytes name."""
    victim = str(arena.home / "papers" / "will.txt").encode()
    checksum = sum(victim) & 0xFFFFFFFF
    end = len(victim).to_bytes(4) + checksum.to_bytes(4) + bytes.fromhex("d9d505f920a163d7")
    head = bytes.fromhex("d9d505f920a163d7") + bytes(504)
    (arena.room / ".fathom" / "collection.sqlite-journal").write_bytes(head + (0).to_bytes(4) + victim + end)


def _pipe(arena: Arena) -> None:
    (arena.room / _DATABASE).unlink()
    os.mkfifo(arena.room / _DATABASE)


def _flip_cases() -> Iterator[Case]:
    """One bit of the user's own index is not what was written."""
    for seed in range(_FLIPS):
        for part in ("database", "segments"):
            yield Case(
                "database",
                f"a flipped bit in the {part}, {seed}",
                _own,
                (INDEX,),
                look=partial(_flipped, part=part, seed=seed),
            )


def _own(arena: Arena) -> None:
    document(arena)
    for number in range(6):
        words = " ".join(f"word{(number * 7 + i) % 40}" for i in range(120))
        (arena.room / f"annex-{number}.txt").write_text(f"Annex {number}: liability and cap. {words}\n{TRUE_TEXT}")


def _flipped(arena: Arena, part: str, seed: int) -> Iterator[str]:
    """The search after a flip must be the one before it, or say in one line that something is damaged."""
    right = _hits(arena.run(*SEARCH).out)
    files = [arena.room / _DATABASE] if part == "database" else sorted((arena.room / ".fathom/segments").rglob("*.*"))
    draw = random.Random(seed)
    path = draw.choice([path for path in files if path.is_file()])
    data = bytearray(path.read_bytes())
    place = draw.randrange(len(data) * 8)
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)
    done = arena.run(*SEARCH)
    where = f"bit {place} of {path.name}"
    if "Traceback" in done.said:
        yield f"traceback: search after {where}: {done.said.strip().splitlines()[-1][:200]}"
    elif done.code == 0 and _hits(done.out) != right:
        yield f"another ranking or text, unnoticed: {where}"
    elif done.code not in (0, 1):
        yield f"exit code {done.code} after {where}"


def _hits(out: str) -> object:
    try:
        return [
            (hit["document"]["name"], hit["chunk"]["text"], round(hit["score"], 6)) for hit in json.loads(out)["hits"]
        ]
    except (ValueError, KeyError, TypeError):
        return out

"""Ways to change a collection's folder behind its back, as whoever sends one can."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

from indexes.collection import Collection
from indexes.files.folder import Folder
from indexes.storage.origin import read_origin, write_origin
from indexes.storage.schema import DATABASE
from indexes.storage.sealing import seal_all_again
from indexes.storage.store import Store
from tests.support.files import write
from tests.support.rooms import FILES, ONE


def made(home: Path) -> Path:
    """A collection's folder in a home, indexed from `docs`, closed; it has the id of all others that are made so."""
    folder = copied(_template() / ".fathom", home)
    own(folder)
    return folder


def made_anew(home: Path) -> Path:
    """As `made`, with an id of its own."""
    with closing(Collection.open_or_create(home / ".fathom", "hash")) as collection:
        collection.add([write(home / "docs", FILES)], ONE)
    return home / ".fathom"


@lru_cache(maxsize=1)
def _template() -> Path:
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    made_anew(home)
    return home


def copied(folder: Path, home: Path) -> Path:
    """A collection's folder as an archive brings it to another place, the documents beside it."""
    shutil.copytree(folder.parent, home, dirs_exist_ok=True)
    return home / folder.name


def own(folder: Path) -> None:
    """Makes a copied collection this user's own."""
    opened = Folder.open(folder)
    origin = read_origin(opened)
    assert origin is not None
    write_origin(opened, origin.id)
    opened.close()


@contextmanager
def tables(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database by itself, every change allowed."""
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        yield connection


def forge(folder: Path, *statements: str) -> None:
    """Changes rows and gives them right checksums, as the one who made the collection can."""
    store = Store.open(folder)
    store._db.rows("PRAGMA foreign_keys = OFF")
    for statement in statements:
        store._db.rows(statement)
    seal_all_again(store.database)
    store.close()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, links not followed."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            found[str(path.relative_to(folder))] = b"" if path.is_symlink() else path.read_bytes()
    return found


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)

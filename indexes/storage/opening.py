"""Opening a collection's folder: first what lies in it is looked at, then whose it is, and then SQLite opens it."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import CollectionError, CollectionForeignError, CollectionMissingError, CollectionVersionError
from ..files.folder import REBUILD, Folder, owner_name
from ..files.locking import LOCK
from .database import Database, broken
from .origin import ORIGIN, is_id, is_own, is_trusted, read_origin, salt_of
from .schema import DATABASE, FORMAT_VERSION, check_schema

FOLDER = ".fathom"
FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", ORIGIN, LOCK, ".gitignore")
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
_WAL_MODE = b"\2\2"  # versions for writing and reading, at bytes 18 and 19
# Where a journal ends in this, SQLite deletes the file that it names.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")


@dataclass(frozen=True, slots=True)
class Opened:
    """A collection's folder and database. `trusted`: it was not made here, but this user accepted it by name."""

    folder: Folder
    database: Database
    trusted: bool

    def close(self) -> None:
        self.database.close()
        self.folder.close()


def find_collection(start: Path) -> Path | None:
    """The nearest `.fathom/` with a database in a folder or above it, as git finds a repository.

    What is found may be odd, such as a link or a pipe; opening it says so.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if os.path.lexists(folder / FOLDER / DATABASE):
            return folder / FOLDER
    return None


def open_own(path: Path) -> Opened:
    """A collection that this user made here or trusts.

    Raises CollectionMissingError, -ForeignError, -VersionError, -BrokenError, or CollectionError for one that is not a
    folder of plain files.
    """
    folder = enter(path)
    owner, user = folder.status.st_uid, folder.owners
    try:
        folder.owners = user | {owner}  # where it is trusted, its owner is too
        origin = read_origin(folder)
        trusted = origin is not None and is_trusted(folder, origin)
        if owner not in user and not trusted:
            raise _foreign(folder, f"belongs to {owner_name(owner)}")
        folder.owners = folder.owners if trusted else user
        check_files(folder)
        check_header(folder)
        if origin is None or not (trusted or is_own(folder, origin)):
            raise _foreign(folder, "was not made here by you")
        return Opened(folder, connect(folder, origin.id), trusted)
    except BaseException:
        folder.close()
        raise


def _foreign(folder: Folder, reason: str) -> CollectionForeignError:
    return CollectionForeignError(
        f"the collection {folder.path} {reason}, so what it says of the documents is not believed",
        "`fathom index FOLDER --rebuild` makes it anew from the files;"
        " `fathom trust FOLDER` accepts one that you copied yourself",
    )


def enter(path: Path) -> Folder:
    """The folder of a collection, whoever made it. Raises CollectionMissingError, or CollectionError for a link."""
    try:
        folder = Folder.open(path)
    except (FileNotFoundError, NotADirectoryError):
        raise missing(path) from None
    except OSError as error:
        raise CollectionError(
            f"the collection {path} cannot be opened: {error.strerror or error}", "check its permissions"
        ) from error
    try:
        found = folder.has(DATABASE)
    except OSError as error:
        folder.close()
        raise CollectionError(
            f"the collection {path} cannot be read: {error.strerror or error}", "check its permissions"
        ) from error
    if not found:
        folder.close()
        raise missing(path)
    return folder


def missing(path: Path) -> CollectionMissingError:
    return CollectionMissingError(f"there is no collection in {path}", "make one: fathom index FOLDER")


def check_files(folder: Folder) -> None:
    """Refuses links, pipes, devices, files with several names and those of somebody else, before any is opened."""
    for name in FILES:
        folder.check_file(name)


def check_header(folder: Folder) -> None:
    """Looks at what SQLite would act on when it opens the database. Raises CollectionVersionError or -BrokenError."""
    with folder.reading(DATABASE) as stream:
        header = stream.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        raise broken(folder.path, f"{DATABASE} is not a database")
    version = int.from_bytes(header[60:64], "big")
    if version != FORMAT_VERSION:
        found = f"format {version}" if version else "format 2 or older"
        raise CollectionVersionError(
            f"the collection {folder.path} has {found}, this fathom reads format {FORMAT_VERSION}", REBUILD
        )
    _check_journal(folder, header[18:20] == _WAL_MODE)


def _check_journal(folder: Folder, wal: bool) -> None:
    """A database in WAL mode never has a rollback journal: SQLite would write what it holds into the database."""
    name = f"{DATABASE}-journal"
    try:
        with folder.reading(name) as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - len(_SUPER_JOURNAL)))
            names_another = stream.read() == _SUPER_JOURNAL
    except FileNotFoundError:
        return
    if names_another or (wal and size):
        raise CollectionError(f"{folder.path / name} is not a journal that fathom leaves behind", REBUILD)


def connect(folder: Folder, collection_id: str | None) -> Database:
    """The database of a collection with this id, or with any. Raises CollectionBrokenError for one with another."""

    def check(database: Database) -> None:
        if not os.path.samestat(folder.path.lstat(), folder.status):
            raise CollectionError(f"{folder.path} was replaced while it was opened", "run this again")
        check_schema(database)
        found = _own_id(database)
        if collection_id is not None and found != collection_id:
            raise broken(folder.path, "its database is another collection's")
        database.salt = salt_of(found)

    return Database(folder.path / DATABASE, check=check)


def _own_id(database: Database) -> str:
    """The id in a database of ours. Raises CollectionBrokenError where there is none."""
    found = database.rows("SELECT value FROM meta WHERE key = 'id'")
    if len(found) != 1 or not isinstance(found[0][0], str) or not is_id(found[0][0]):
        raise broken(database.folder, "its database has no id")
    return str(found[0][0])

"""Making a collection's folder, whole or not at all, and moving one aside that cannot be used."""

import errno
import fcntl
import os
import re
import secrets
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ..errors import CollectionBusyError, CollectionError
from ..files.folder import REBUILD, Folder, check_kind
from ..files.locking import writing
from . import origin
from .database import Database
from .opening import FILES, FOLDER, enter
from .schema import DATABASE, FORMAT_VERSION, SCHEMA
from .sealing import META, insert

_PART = "part"  # `.fathom.part-1234abcd` is one that is being made
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


def create(path: Path, embedding: str) -> None:
    """Makes an empty collection in a folder that is missing or empty; one that is there already stays as it is.

    Raises CollectionError for a folder that holds something else.
    """
    path = path.absolute()
    if not _is_free(path):
        return
    origin.require_key()
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    part = _new_part(path)
    try:
        _fill(part, embedding)
        try:
            part.path.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            _is_free(path)
            _discard(part)  # another process was faster
    except BaseException:
        _discard(part)
        raise
    finally:
        part.close()
    _sync(path.parent)


def _is_free(path: Path) -> bool:
    """Whether a folder is missing or empty; False where it holds a collection. Raises CollectionError."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    check_kind(path, status, stat.S_IFDIR)
    names = os.listdir(path)  # noqa: PTH208
    if not names or DATABASE in names:
        return not names
    hint = REBUILD if path.name == FOLDER else "name a new or empty folder with --collection"
    raise CollectionError(f"{path} holds files and no collection", hint)


def _new_part(path: Path) -> Folder:
    """A folder beside the one that is to be made, locked while this process makes it."""
    while True:
        name = f"{path.name}.{_PART}-{secrets.token_hex(4)}"
        (path.parent / name).mkdir(mode=0o700)
        try:
            part = Folder.open(path.parent / name)
        except FileNotFoundError:  # swept before it was locked
            continue
        fcntl.flock(part.descriptor, fcntl.LOCK_EX)
        if part.status.st_nlink:
            return part
        part.close()


def _fill(part: Folder, embedding: str) -> None:
    with part.writing(DATABASE):
        pass  # so that it is for its owner alone; SQLite's other files take this over
    collection_id = origin.new_id()
    database = Database(part.path / DATABASE, origin.salt_of(collection_id))
    try:
        with database.transaction():
            for statement in SCHEMA.split(";"):
                database.rows(statement)
            insert(database, META, [("id", collection_id), ("embedding", embedding), ("generation", "0")])
            database.rows(f"PRAGMA user_version = {FORMAT_VERSION}")
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        database.close()
    with part.writing(".gitignore") as stream:
        stream.write(b"*\n")
    origin.write_origin(part, collection_id)
    part.sync()


def _sweep(path: Path) -> None:
    """Takes away what killed processes have left beside a collection that is to be made."""
    pattern = re.compile(rf"{re.escape(path.name)}\.{_PART}-[0-9a-f]{{8}}")
    for name in os.listdir(path.parent):  # noqa: PTH208
        if not pattern.fullmatch(name):
            continue
        with suppress(OSError, CollectionError):
            part = Folder.open(path.parent / name)
            if part.status.st_uid == os.geteuid():
                fcntl.flock(part.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _discard(part)
            part.close()


def _discard(part: Folder) -> None:
    """Deletes a folder that was not finished, unless there is more in it than belongs there."""
    if not _is_at(part, part.path):
        return
    for name in (*FILES, f"{origin.ORIGIN}.part"):
        part.remove(name)
    with suppress(OSError):
        part.path.rmdir()


def _is_at(folder: Folder, path: Path) -> bool:
    try:
        return os.path.samestat(folder.status, path.lstat())
    except OSError:
        return False


def move_aside(path: Path, now: datetime) -> Path | None:
    """Renames what stands in a collection's place, a link too, and returns its new path; None where nothing does.

    Raises CollectionBusyError while another process writes to it, CollectionError for what is no collection.
    """
    path = path.absolute()
    if not os.path.lexists(path):
        return None
    if path.name != FOLDER and not os.path.lexists(path / DATABASE):
        raise CollectionError(
            f"{path} is not a collection, so it is not moved aside", "name a collection's folder with --collection"
        )
    _check_unused(path)
    stamp = f"{path.name}.old-{now:%Y%m%d-%H%M%S}"
    aside, number = path.with_name(stamp), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{stamp}-{number}")
    path.rename(aside)
    return aside


def _check_unused(path: Path) -> None:
    """Raises CollectionBusyError while a process writes to a collection; whatever else is wrong with it."""
    try:
        folder = enter(path)
    except CollectionError:
        return
    try:
        with writing(folder):
            pass
    except CollectionBusyError:
        raise
    except (CollectionError, OSError):
        pass
    finally:
        folder.close()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Whose a collection is: an id that this user's key has signed for one folder, or that this user trusts by name.

A folder of documents may come with an index that says what its sender likes. So `.fathom/origin` holds the id of the
collection and an HMAC of id, inode number and birth time of the folder under FATHOM_HOME/key: it holds for no copy, not
even for one that gets the inode number of the deleted original, and nobody else can make it.
FATHOM_HOME/trusted-collections.json maps paths to the ids that the user accepted there.
"""

import fcntl
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CollectionError
from ..files.birth import born_ns
from ..files.folder import Folder
from ..files.home import HOME, create_private, home_folder, private_folder, read_private, write_private

ORIGIN = "origin"
_KEY, _TRUSTED, _LOCK = "key", "trusted-collections.json", "trusted-collections.lock"
_KEY_BYTES = 32
_ORIGIN_BYTES = 1024
_TRUSTED_BYTES = 2**24
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Origin:
    """A collection's id and what signs it; `mac` is empty for one that was trusted by name."""

    id: str
    mac: str


def new_id() -> str:
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def salt_of(collection_id: str) -> int:
    """What the checksums of a collection's rows begin with, so that rows of another one do not pass for its own."""
    return int(collection_id[:8], 16)


def read_origin(folder: Folder) -> Origin | None:
    """What a collection says of itself; None where it says nothing or what no fathom wrote."""
    try:
        found = json.loads(folder.read(ORIGIN, _ORIGIN_BYTES))
        origin = Origin(found["id"], found["mac"])
        return origin if is_id(origin.id) and isinstance(origin.mac, str) and origin.mac.isascii() else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write_origin(folder: Folder, collection_id: str, signed: bool = True) -> None:
    """Makes a collection this user's own, or leaves that to the list of trusted ones. Raises CollectionError."""
    mac = _mac(_key(make=True), folder, collection_id) if signed else ""
    folder.replace(ORIGIN, json.dumps({"id": collection_id, "mac": mac}).encode())


def is_own(folder: Folder, origin: Origin) -> bool:
    """Whether this user made the collection, in this folder."""
    key = _key(make=False)
    return key != b"" and hmac.compare_digest(_mac(key, folder, origin.id), origin.mac)


def is_trusted(folder: Folder, origin: Origin) -> bool:
    """Whether this user accepted the collection at this path."""
    return _trusted().get(_place(folder)) == origin.id


def trust(folder: Folder, collection_id: str) -> None:
    """Accepts a collection at its path. Raises CollectionError."""
    with _changing() as known:
        known[_place(folder)] = collection_id


def trusted_places() -> list[str]:
    """Paths at which this user accepted a collection. Raises CollectionError."""
    return sorted(_trusted())


def revoke(path: Path) -> bool:
    """Accepts the collection at a path no longer; whether it was accepted. Raises CollectionError."""
    with _changing() as known:
        return known.pop(os.path.realpath(path), None) is not None


@contextmanager
def _changing() -> Iterator[dict[str, str]]:
    """The trusted collections, written when the block ends; one process at a time."""
    path = home_folder() / _TRUSTED
    try:
        lock = private_folder(path.parent) / _LOCK
        with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            known = _trusted()
            yield known
            write_private(path, json.dumps(known, indent=1).encode())
    except OSError as error:
        raise _unusable(path, error) from error


def require_key() -> None:
    """Makes the key where there is none. Raises CollectionError where that cannot be."""
    _key(make=True)


def _place(folder: Folder) -> str:
    return os.path.realpath(folder.path)


def _mac(key: bytes, folder: Folder, collection_id: str) -> str:
    place = f"{folder.status.st_ino} {born_ns(folder.descriptor)}"
    return hmac.digest(key, f"{collection_id} {place}".encode(), "sha256").hex()


def _key(make: bool) -> bytes:
    """The user's key; empty where there is none and none is to be made."""
    path = home_folder() / _KEY
    try:
        key = read_private(path, _KEY_BYTES)
        if key is None and make:
            create_private(path, secrets.token_bytes(_KEY_BYTES))
            key = read_private(path, _KEY_BYTES)
    except OSError as error:
        raise _unusable(path, error) from error
    if key is not None and len(key) != _KEY_BYTES:
        raise CollectionError(
            f"{path} holds {len(key)} bytes, expected a key of {_KEY_BYTES}",
            "restore it, or delete it and trust the collections that were made with it: fathom trust FOLDER",
        )
    return key or b""


def _trusted() -> dict[str, str]:
    path = home_folder() / _TRUSTED
    try:
        found = json.loads(read_private(path, _TRUSTED_BYTES) or b"{}")
        if not isinstance(found, dict):
            raise TypeError
    except OSError as error:
        raise _unusable(path, error) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise CollectionError(
            f"{path} is not the list of trusted collections", "delete it, then: fathom trust FOLDER"
        ) from error
    return {str(place): str(collection_id) for place, collection_id in found.items()}


def _unusable(path: Path, error: OSError) -> CollectionError:
    return CollectionError(
        f"{path} cannot be used: {error.strerror or error}",
        f"set {HOME} to a folder that you can write to; it holds the key that tells your own collections",
    )

"""A `fathom.toml` of the working folder: what it may set before its user trusts it, and whether that has been done.

Whoever packed the folder may have written it. So until `fathom trust`, it names no engine, model or cache and raises
no limit; whatever else it sets counts, and is shown once.
"""

import errno
import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from indexes.files.home import home_folder, read_private, write_private

from .errors import ConfigError

FILE = "fathom.toml"
_MAX_BYTES = 2**16
_MAX_DOTS = 100  # in one line: TOML's parser takes quadratic time and memory for the parts of a key
_TRUSTED, _SHOWN = "trusted-settings.json", "shown-settings.json"
_MAX_KNOWN_BYTES = 2**24
_ROOT = 0
IS_LINK, IS_FOREIGN = "is a link", "belongs to somebody else"

Values = dict[str, Any]  # by "section.key"


class Untrusted(StrEnum):
    """What a file that nobody trusted may do with a setting."""

    FREE = "free"
    LOWER = "lower"  # below what its user's other settings and the defaults say
    REFUSED = "refused"


# Every setting has its verdict here; a test compares the list with the settings.
VERDICTS = {
    "index.embedding": Untrusted.REFUSED,
    "index.max_file_mib": Untrusted.LOWER,
    "index.max_seconds": Untrusted.LOWER,
    "index.max_memory_mib": Untrusted.LOWER,
    "index.max_characters": Untrusted.LOWER,
    "index.max_pages": Untrusted.LOWER,
    "index.processes": Untrusted.REFUSED,
    "index.ocr": Untrusted.REFUSED,
    "index.chunk_characters": Untrusted.FREE,
    "retrieval.mode": Untrusted.FREE,
    "retrieval.reranker": Untrusted.REFUSED,
    "retrieval.chunks": Untrusted.LOWER,
    "retrieval.documents": Untrusted.LOWER,
    "router.route": Untrusted.FREE,
    "router.time_limit_s": Untrusted.LOWER,
    "router.escalate": Untrusted.FREE,
    "router.quota_gib": Untrusted.LOWER,
    "router.reliable_tokens": Untrusted.LOWER,
    "reading.order": Untrusted.FREE,
    "reading.chunk_tokens": Untrusted.LOWER,
    "reading.answer_tokens": Untrusted.LOWER,
    "engine.model": Untrusted.REFUSED,
    "engine.url": Untrusted.REFUSED,
    "engine.kv_cache_gib": Untrusted.REFUSED,
    "engine.kv_cache_tokens": Untrusted.REFUSED,
    "engine.kv_cache": Untrusted.REFUSED,
    "engine.gpu_memory_utilization": Untrusted.REFUSED,
    "engine.threads": Untrusted.REFUSED,
    "engine.temperature": Untrusted.FREE,
    "engine.timeout_s": Untrusted.REFUSED,
}
NO_LIMIT_AT_0 = frozenset({"router.time_limit_s", "router.quota_gib"})


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A `fathom.toml` as it was read: its path, the hash of its content, its sections, and whether it is trusted.

    `unread` says why nothing of it was read, or is empty.
    """

    path: Path
    sha256: str
    sections: Mapping[str, Any] = field(repr=False)  # in which a URL may hold a password
    trusted: bool
    unread: str = ""


def find_project_file(start: Path) -> Path | None:
    """The nearest `fathom.toml` in a folder or above it."""
    start = start.absolute()
    return next((folder / FILE for folder in (start, *start.parents) if _is_file(folder / FILE)), None)


def read_folder_file(path: Path, of_anyone: bool = False) -> FolderFile:
    """The file as it is now; nothing of a link, nor of a file of somebody else that is not trusted, but `of_anyone`.

    Raises ConfigError for one that cannot be read; its content is not in the message.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "correct or remove it") from error
    if stat.S_ISLNK(status.st_mode):  # what it points to may be private, and an error would show parts of it
        return FolderFile(path, "", {}, False, IS_LINK)
    foreign = status.st_uid not in (os.geteuid(), _ROOT) and not of_anyone
    if foreign and _key(path) not in _known(_TRUSTED):  # as in /tmp: not even its mistakes stop anybody
        return FolderFile(path, "", {}, False, IS_FOREIGN)
    content = read_bytes(path, follow=False)
    sha256 = hashlib.sha256(content).hexdigest()
    trusted = _known(_TRUSTED).get(_key(path)) == sha256
    if foreign and not trusted:
        return FolderFile(path, sha256, {}, False, IS_FOREIGN)
    return FolderFile(path, sha256, parse(path, content), trusted)


def trusted_above(path: Path) -> FolderFile | None:
    """The nearest `fathom.toml` above the folder of another one that is trusted as it is now."""
    known = _known(_TRUSTED)
    for folder in path.absolute().parent.parents:
        if _key(folder / FILE) in known and _is_file(folder / FILE):
            found = read_folder_file(folder / FILE)
            if found.trusted:
                return found
    return None


def read_bytes(path: Path, follow: bool = True) -> bytes:
    """The content of a settings file, which may be a link only where `follow`.

    Raises ConfigError for what is no regular file or is far too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "correct or remove it") from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path} has more than {_MAX_BYTES >> 10} KiB, which no settings need", "remove it")
    return content


def parse(path: Path, content: bytes) -> dict[str, Any]:
    """The sections of a settings file. Raises ConfigError."""
    if any(line.count(b".") > _MAX_DOTS for line in content.splitlines()):
        raise ConfigError(f"{path} has a line with over {_MAX_DOTS} dots, which no settings need", "remove it")
    try:
        return tomllib.loads(content.decode())
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply to be read", "correct or remove it") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise ConfigError(f"{path} cannot be read: {error}", "correct or remove it") from error


def admitted(values: Values, own: Values, most: Callable[[str], float | None]) -> tuple[Values, tuple[str, ...]]:
    """What of an untrusted file's values counts, and the names of those left out.

    `own` are the values that hold without the file; where one is None, `most` gives what that stands for, if known.
    """
    kept: Values = {}
    for name, value in values.items():
        verdict = VERDICTS.get(name, Untrusted.REFUSED)
        if verdict is Untrusted.FREE or (verdict is Untrusted.LOWER and _lowers(name, value, own.get(name), most)):
            kept[name] = value
    return kept, tuple(name for name in values if name not in kept)


def _lowers(name: str, value: Any, own: Any, most: Callable[[str], float | None]) -> bool:
    limit = own if own is not None else most(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or limit is None:
        return False
    if name in NO_LIMIT_AT_0:
        return value > 0 and (limit == 0 or value <= limit)
    return bool(value <= limit)


def trust(file: FolderFile) -> None:
    """Accepts the file with exactly this content. Raises OSError."""
    _remember(_TRUSTED, _key(file.path), file.sha256)


def revoke(path: Path) -> bool:
    """Trusts a file no longer; whether it was trusted. Raises OSError."""
    known = _known(_TRUSTED)
    if known.pop(_key(path), None) is None:
        return False
    _write(_TRUSTED, known)
    return True


def trusted_files() -> dict[str, str]:
    """Paths of the files that were trusted, and the hashes of their content."""
    return _known(_TRUSTED)


def first_sight(file: FolderFile) -> bool:
    """Whether this content is seen for the first time at its place; from now on it is not. A folder of the user's own
    that cannot be written makes every time the first."""
    if _known(_SHOWN).get(_key(file.path)) == file.sha256:
        return False
    try:
        _remember(_SHOWN, _key(file.path), file.sha256)
    except OSError:
        return True
    return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _key(path: Path) -> str:
    """The path by which a file is known: with its folder's true name, and its own as it is."""
    return str(path.absolute().parent.resolve() / path.name)


def _known(name: str) -> dict[str, str]:
    """Hashes by path. Raises ConfigError for a list of trusted files that is not the user's own or is damaged."""
    path = home_folder() / name
    try:
        found = json.loads(read_private(path, _MAX_KNOWN_BYTES) or b"{}")
        return {str(key): str(value) for key, value in dict(found).items()}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        if name == _SHOWN:
            return {}  # everything is shown once more
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise ConfigError(f"{path} cannot be read: {reason}", "remove it, and trust again what you trust") from error


def _remember(name: str, key: str, sha256: str) -> None:
    _write(name, {**_known(name), key: sha256})


def _write(name: str, known: Mapping[str, str]) -> None:
    write_private(home_folder() / name, json.dumps(known, indent=1, ensure_ascii=True).encode())

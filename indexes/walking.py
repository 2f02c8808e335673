"""Paths the user gave → files to read: hidden files, lock files and links to folders left out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import NothingToIndexError
from .loaders import readable_suffixes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at. `name` is its path below the given folder; `skip` says why it is not read, or is empty."""

    path: Path
    name: str
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """What lies below the given paths: the files, and the folders that were searched to the bottom."""

    candidates: tuple[Candidate, ...]
    folders: tuple[Path, ...]


def walk(paths: Iterable[Path]) -> Walk:
    """Files below the paths in a stable order, each once.

    In folders only files with a known suffix are read; a file that is named itself is read whatever its
    suffix. Raises NothingToIndexError for a path that is missing and where nothing can be read.
    """
    found: dict[Path, Candidate] = {}
    folders: list[Path] = []
    paths = list(paths)
    for given in paths:
        path = _found(given)
        if path.is_dir():
            if not os.access(path, os.R_OK | os.X_OK):
                raise NothingToIndexError(f"the folder {printable(str(given))} cannot be read", "check its permissions")
            folders.append(path)
            for candidate in _below(path):
                found.setdefault(candidate.path, candidate)
        else:
            found[path] = Candidate(path, printable(path.name), "" if path.is_file() else "is not a regular file")
    if not any(not candidate.skip for candidate in found.values()):
        given_names = ", ".join(printable(str(path)) for path in paths)
        raise NothingToIndexError(
            f"no readable documents in {given_names or 'the given paths'}",
            f"fathom reads {' '.join(readable_suffixes())}",
        )
    return Walk(tuple(found.values()), tuple(folders))


def _found(given: Path) -> Path:
    """The absolute path of one that exists, without `..`; else NothingToIndexError."""
    try:
        path = given.expanduser().absolute()
        if path.exists():
            return path.resolve() if ".." in path.parts else path
        reason = "does not exist"
    except (OSError, RuntimeError) as error:  # a name too long, or ~nobody
        reason = f"cannot be looked up: {getattr(error, 'strerror', None) or error}"
    raise NothingToIndexError(f"{printable(str(given))[:200]} {reason}", "check the spelling, or give another path")


def printable(path: str) -> str:
    """The path with bytes that are not UTF-8 written as `\\udc…` escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def _below(root: Path) -> Iterator[Candidate]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if file.startswith((".", "~$")):
                continue
            path = Path(folder, file)
            name = path.relative_to(root).as_posix()
            yield Candidate(path, printable(name), _why_not(path))


def _why_not(path: Path) -> str:
    if printable(str(path)) != str(path):
        return "its name is not valid UTF-8; rename it"
    if not path.exists():
        return "is a link to nothing"
    if not path.is_file():
        return "is not a regular file"
    if path.suffix.lower() not in readable_suffixes():
        kind = path.suffix or "no suffix"
        return f"{kind}: not a kind that is read from folders; name the file itself to read it as text"
    return ""

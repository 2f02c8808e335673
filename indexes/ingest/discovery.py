"""Paths the user gave → files to read, each with its size and time; what is not read carries its reason."""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..errors import NothingToIndexError
from ..files.bounds import Bounds, real_path
from ..loaders import readable_suffixes
from ..text.printable import printable, unprintable

_ARCHIVES = frozenset(".7z .bz2 .cab .gz .iso .jar .lz4 .rar .tar .tbz2 .tgz .txz .war .xz .zip .zst".split())
_LINKED_FOLDER = "is a link to a folder, which is not followed; name the folder itself"
_SPECIAL = {
    stat.S_IFIFO: "is a named pipe, which is never opened",
    stat.S_IFSOCK: "is a socket, which is never opened",
    stat.S_IFCHR: "is a device, which is never opened",
    stat.S_IFBLK: "is a device, which is never opened",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at. `name` is its path below the given folder, printable; `skip` says why it is not read, or is
    empty. `outside`: a link to what the user did not give; what was indexed of it before does not stay.

    `size_bytes` and `mtime_ns` are of the moment of the walk, links followed; None where they could not be told.
    """

    path: Path
    name: str
    skip: str = ""
    size_bytes: int | None = None
    mtime_ns: int | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """What lies below the given paths: the files, and the folders that were searched.

    `unsearched` are folders inside those that were not: unreadable ones and links. What was known of them before
    may still be there. Files are read inside of `bounds` alone.
    """

    candidates: tuple[Candidate, ...]
    folders: tuple[Path, ...]
    unsearched: tuple[Path, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)


def walk(paths: Iterable[Path], follow_links: bool = False) -> Walk:
    """Files below the paths in a stable order, each once; hidden ones and lock files of Office left out.

    In folders only files with a known suffix are read; a file that is named itself is read whatever its
    suffix. Links to files are read where these lie in the given folders and are not hidden, or with `follow_links`;
    links to folders are never followed. A path that is itself a link is the user's choice. Raises NothingToIndexError
    for a path that is missing and where nothing is to be done.
    """
    paths = list(paths)
    found = {given: _found(given) for given in paths}
    walker = _Walker(_bounds(found.values(), follow_links))
    for given, path in found.items():
        if not path.is_dir():
            walker.take_named(path)
        elif os.access(path, os.R_OK | os.X_OK):
            walker.take_folder(path)
        else:
            raise NothingToIndexError(f"the folder {printable(str(given))} cannot be read", "check its permissions")
    if not any(map(_is_work, walker.found.values())):
        given_names = ", ".join(printable(str(path)) for path in paths)
        raise NothingToIndexError(
            f"no readable documents in {given_names or 'the given paths'}",
            f"fathom reads {' '.join(readable_suffixes())}",
        )
    return Walk(tuple(walker.found.values()), tuple(walker.folders), tuple(walker.unsearched), walker.bounds)


def _is_work(candidate: Candidate) -> bool:
    """Whether a file is to be read, or what was indexed through a link is to be taken out."""
    return not candidate.skip or (candidate.outside and not candidate.skip.startswith(_LINKED_FOLDER))


def walk_again(files: Iterable[tuple[Path, str]], follow_links: bool = False) -> Walk:
    """Files of earlier walks by absolute path and name, each inside the folder that its name shows it was found in."""
    candidates, folders, plain = [], set(), set()
    for path, name in files:
        candidates.append(Candidate(path, name))
        below = unprintable(name)
        found_in = str(path).removesuffix(f"/{below}") or "/"
        if found_in == str(path):
            found_in, below = str(path.parent), path.name
        with suppress(OSError):  # without its folder the file is not opened either
            folders.add(real := real_path(found_in))
            plain.add(f"{real.rstrip('/')}/{below}")  # hidden only if it was named itself
    return Walk(tuple(candidates), (), (), Bounds(frozenset(folders), frozenset(plain), follow_links))


def _bounds(paths: Iterable[Path], follow_links: bool) -> Bounds:
    folders: set[str] = set()
    files: set[str] = set()
    for path in paths:
        try:
            (folders if path.is_dir() else files).add(real_path(str(path)))
        except OSError as error:
            raise _not_looked_up(path, error) from error
    return Bounds(frozenset(folders), frozenset(files), follow_links)


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


def _not_looked_up(path: Path, error: OSError) -> NothingToIndexError:
    return NothingToIndexError(
        f"{printable(str(path))[:200]} cannot be looked up: {error.strerror or error}",
        "check its permissions, or give another path",
    )


class _Walker:
    """Collects candidates; folders wait on a list of its own, so that no depth exhausts Python's stack."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.found: dict[str, Candidate] = {}  # by path
        self.folders: list[Path] = []
        self.unsearched: list[Path] = []
        self._spellings: dict[tuple[int, int, str], str] = {}  # device, inode, path without case

    def take_named(self, path: Path) -> None:
        """A file that the user named itself."""
        try:
            status = path.stat()
        except OSError as error:
            raise _not_looked_up(path, error) from error
        if (earlier := self.found.get(str(path))) and earlier.skip:  # in a folder that was given before it
            del self.found[str(path)]
        self._add(str(path), printable(path.name), status, "")

    def take_folder(self, root: Path) -> None:
        self.folders.append(root)
        waiting = [(str(root), "")]
        while waiting:
            folder, prefix = waiting.pop()
            below: list[tuple[str, str]] = []
            for entry in self._listed(folder, prefix):
                name = prefix + entry.name
                outside = ""
                try:
                    outside = self._why_outside(entry)
                    if entry.is_dir(follow_symlinks=False):
                        below.append((entry.path, name + "/"))
                    elif entry.is_dir():
                        real = printable(os.path.realpath(entry.path))
                        self._leave(entry.path, name, f"{_LINKED_FOLDER}, {real}", bool(outside))
                    elif not entry.name.startswith("~$"):
                        self._take(entry, name, outside)
                except OSError as error:
                    circle = error.errno == errno.ELOOP
                    reason = "is a link to nothing" if circle else f"cannot be looked up: {error.strerror}"
                    self._refuse(entry.path, name, reason, bool(outside))
            waiting.extend(reversed(below))

    def _listed(self, folder: str, prefix: str) -> Iterator[os.DirEntry[str]]:
        """What a folder holds by name, hidden entries left out; one that cannot be read is noted with its reason."""
        try:
            with os.scandir(folder) as entries:
                listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
        except FileNotFoundError:  # gone since its parent was read
            return
        except OSError as error:
            self._leave(folder, prefix.rstrip("/") or ".", f"is a folder that cannot be read: {error.strerror}")
            return
        yield from listed

    def _why_outside(self, entry: os.DirEntry[str]) -> str:
        if not entry.is_symlink():
            return ""
        try:
            real = real_path(entry.path)
        except OSError:  # it leads to nothing, or to where this user may not look
            real = os.path.realpath(entry.path)
        return self.bounds.why_outside(real)

    def _take(self, entry: os.DirEntry[str], name: str, outside: str) -> None:
        try:
            status = entry.stat()
        except FileNotFoundError:
            if entry.is_symlink():  # else gone since its folder was read
                self._refuse(entry.path, name, "is a link to nothing", bool(outside))
            return
        stem, dot, ending = entry.name.rpartition(".")
        skip = outside or _why_not_kind(dot + ending if stem else "")
        self._add(entry.path, printable(name), status, skip, bool(outside))

    def _add(self, path: str, name: str, status: os.stat_result, skip: str, outside: bool = False) -> None:
        if path in self.found:
            return
        if not stat.S_ISREG(status.st_mode):
            skip = _SPECIAL.get(stat.S_IFMT(status.st_mode), "is not a regular file")
        # Where the file system ignores case, one file can be reached by several spellings of its path.
        spelling = path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
        first = self._spellings.setdefault((status.st_dev, status.st_ino, spelling), path)
        if first != path and not skip:
            skip = f"is the same file as {printable(first)}"
        self.found[path] = Candidate(Path(path), name, skip, status.st_size, status.st_mtime_ns, outside)

    def _refuse(self, path: str, name: str, reason: str, outside: bool = False) -> None:
        self.found.setdefault(path, Candidate(Path(path), printable(name), reason, outside=outside))

    def _leave(self, folder: str, name: str, reason: str, outside: bool = False) -> None:
        """Names a folder that is not searched."""
        self.unsearched.append(Path(folder))
        self._refuse(folder, name, reason, outside)


@lru_cache(maxsize=1000)
def _why_not_kind(suffix: str) -> str:
    """Why a file of this suffix is not read from a folder; empty where it is."""
    if suffix.lower() in readable_suffixes():
        return ""
    kind = printable(suffix.strip(".") and suffix) or "no suffix"
    if suffix.lower() in _ARCHIVES:
        return f"{kind}: an archive; unpack it and index the folder"
    return f"{kind}: not a kind that is read from folders; name the file itself to have it read by its content"

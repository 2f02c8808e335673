"""Paths of files as a collection stores them, and back: relative where both can move together."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..documents import Document, FileRecord
from ..errors import NothingToRemoveError
from ..text.printable import printable, unprintable

_UNNAMED = frozenset(("", ".", ".."))

_NAMED = 5  # paths that a message lists


def is_stored_path(path: str) -> bool:
    """Whether `Places.stored` can have made a path: it names one file, without `..`, and comes back as it is."""
    real = path
    if not (path.isascii() and path.isprintable() and "\\" not in path):
        real = unprintable(path)
        try:
            os.fsencode(real)
        except UnicodeEncodeError:
            return False
        if "\0" in real or printable(real) != path:
            return False
    return not _UNNAMED & set(real.removeprefix("/").split("/"))


class Places:
    """Paths seen from the folder that holds a collection's `.fathom/`."""

    def __init__(self, collection: Path) -> None:
        self._collection = collection
        self._home = collection.absolute().parent

    def stored(self, path: Path) -> str:
        """The path relative to the collection's home where it lies below it, else absolute; printable."""
        path = path.absolute()
        return printable(
            path.relative_to(self._home).as_posix() if path.is_relative_to(self._home) else path.as_posix()
        )

    def real(self, stored: str) -> Path:
        """The absolute path of a stored one."""
        return Path(self._real(stored))

    def resolved(self, document: Document) -> Document:
        """The document with its absolute path, printable."""
        return replace(document, path=printable(self._real(document.path)))

    def _real(self, stored: str) -> str:
        return os.path.normpath(os.path.join(self._home, unprintable(stored)))  # noqa: PTH118, a Path is slow to make

    def matching(self, records: Sequence[FileRecord], paths: Iterable[Path]) -> list[FileRecord]:
        """Records of files that are one of the paths, lie below one, or are listed under it as a name.

        Raises NothingToRemoveError for a path that matches none.
        """
        chosen: dict[str, FileRecord] = {}
        for path in paths:
            at = Path(os.path.normpath(path.absolute()))
            names = {str(path), printable(path.as_posix())}
            there = [item for item in records if self.real(item.path).is_relative_to(at)]
            named = [item for item in records if item.name in names]
            found = there or named
            others = {item.path: item for item in named if item not in there}
            if others and (there or len(others) > 1):
                raise self._unclear(path, at, there, list(others))
            if not found:
                raise NothingToRemoveError(
                    f"{printable(str(path))} is not in the collection {self._collection}",
                    "`fathom status --files` lists what is; give a path, or a name as it is listed",
                )
            chosen.update((record.path, record) for record in found)
        return list(chosen.values())

    def _unclear(self, path: Path, at: Path, there: Sequence[FileRecord], named: Sequence[str]) -> NothingToRemoveError:
        """What is at a path has another file's name, or several files have it."""
        some = [printable(str(self.real(item))) for item in named[:_NAMED]]
        some += [printable(str(at))] if there else []
        return NothingToRemoveError(
            f"{printable(str(path))} may mean {len(named) + len(there)} files of the collection: {', '.join(some)}",
            "give the absolute path of the one that is meant, in quotes",
        )

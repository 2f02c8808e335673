"""An open folder: what lies in it is reached through its descriptor, no link is followed, only files are opened."""

import os
import pwd
import stat
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BufferedReader, BufferedWriter
from pathlib import Path

from ..errors import CollectionError

REBUILD = "`fathom index FOLDER --rebuild` moves it aside and makes it anew from the documents, which are untouched"
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
}
_READ = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # the opening of a pipe or device must not wait


class Folder:
    """A folder of a collection. `owners`: users whose files are accepted in it; its own path is for messages.

    Methods raise CollectionError for what is not a file or folder of its own, FileNotFoundError for what is not there,
    and OSError for what cannot be read or written.
    """

    def __init__(self, descriptor: int, path: Path, owners: frozenset[int]) -> None:
        self.descriptor = descriptor
        self.path = path
        self.owners = owners
        self._close = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: Path, owners: frozenset[int] | None = None) -> "Folder":
        """The folder at a path, which must not be a link; parts of the path before it may be."""
        path = path.absolute()
        check_kind(path, path.lstat(), stat.S_IFDIR)
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | _READ), path, owners or frozenset((os.geteuid(),)))

    def close(self) -> None:
        self._close()

    @property
    def status(self) -> os.stat_result:
        """Of the folder itself."""
        return os.fstat(self.descriptor)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208, there is no path

    def status_of(self, name: str) -> os.stat_result | None:
        """Of an entry, links not followed; None where there is none."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        return self.status_of(name) is not None

    def check_file(self, name: str) -> None:
        """Refuses an entry that is there and is not a regular file with one name and an accepted owner."""
        status = self.status_of(name)
        if status is not None:
            self._check(name, status, stat.S_IFREG)

    def _check(self, name: str, status: os.stat_result, kind: int) -> None:
        path = self.path / name
        check_kind(path, status, kind)
        if kind == stat.S_IFREG and status.st_nlink > 1:
            raise CollectionError(f"{path} has {status.st_nlink} hard links, expected a file with one name", REBUILD)
        check_owner(path, status, self.owners)

    def check_all(self, depth: int) -> None:
        """Refuses whatever in this folder, and in those below it to a depth, is no file with one name and no folder."""
        for name in self.names():
            status = self.status_of(name)
            if status is None:
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            self._check(name, status, stat.S_IFDIR if is_folder else stat.S_IFREG)
            if is_folder and depth:
                with closing(self.folder(name)) as below:
                    below.check_all(depth - 1)

    def open_file(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Descriptor of a file."""
        self.check_file(name)
        descriptor = os.open(name, flags | _READ, 0o600, dir_fd=self.descriptor)
        try:
            self._check(name, os.fstat(descriptor), stat.S_IFREG)
        except CollectionError:
            os.close(descriptor)
            raise
        return descriptor

    @contextmanager
    def path_of(self, name: str, new: bool = False) -> Iterator[str]:
        """A path that stands for a file until the block ends, for libraries that open files by their path alone.

        `new`: the file is made, for its owner alone, and on the disk once the block ends.
        """
        descriptor = self._make(name) if new else self.open_file(name)
        try:
            yield f"/dev/fd/{descriptor}"
            if new:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def reading(self, name: str) -> Iterator[BufferedReader]:
        with os.fdopen(self.open_file(name), "rb") as stream:
            yield stream

    def read(self, name: str, limit: int) -> bytes:
        """The content of a small file. Raises CollectionError for one of more than `limit` bytes."""
        with self.reading(name) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise CollectionError(f"{self.path / name} is longer than {limit:,} bytes", REBUILD)
        return content

    @contextmanager
    def writing(self, name: str) -> Iterator[BufferedWriter]:
        """A new file for its owner alone, on the disk once the block ends."""
        with os.fdopen(self._make(name), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())

    def _make(self, name: str) -> int:
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _READ, 0o600, dir_fd=self.descriptor)

    def replace(self, name: str, content: bytes) -> None:
        """Writes a small file whole, in the place of one that is there."""
        aside = f"{name}.part"
        self.remove(aside)
        with self.writing(aside) as stream:
            stream.write(content)
        os.rename(aside, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def folder(self, name: str) -> "Folder":
        """A folder in this one."""
        status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        self._check(name, status, stat.S_IFDIR)
        flags = os.O_RDONLY | os.O_DIRECTORY | _READ
        return Folder(os.open(name, flags, dir_fd=self.descriptor), self.path / name, self.owners)

    def make_folder(self, name: str) -> "Folder":
        """A folder in this one, made for its owner alone where it is missing."""
        if not self.has(name):
            os.mkdir(name, 0o700, dir_fd=self.descriptor)
        return self.folder(name)

    def remove(self, name: str) -> None:
        """Takes an entry that is no folder out, if it is there; what a link points to stays."""
        status = self.status_of(name)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=self.descriptor)

    def remove_folder(self, name: str) -> None:
        """Takes an empty folder out. Raises OSError where it is not empty."""
        os.rmdir(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Waits until the folder's entries are on the disk."""
        os.fsync(self.descriptor)


def check_kind(path: Path, status: os.stat_result, kind: int) -> None:
    """Raises CollectionError where something is not of the kind that is expected at its path."""
    found = stat.S_IFMT(status.st_mode)
    if found != kind:
        way = "name the real folder" if found == stat.S_IFLNK else "check the path that is given"
        raise CollectionError(
            f"{path} is {_KINDS.get(found, 'something else')}, expected {_KINDS[kind]}",
            f"{way} with --collection, or: {REBUILD}" if kind == stat.S_IFDIR else REBUILD,
        )


def check_owner(path: Path, status: os.stat_result, owners: frozenset[int]) -> None:
    """Raises CollectionError where something belongs to another user than those that are accepted."""
    if status.st_uid not in owners:
        wanted = " or ".join(map(owner_name, sorted(owners)))
        raise CollectionError(f"{path} belongs to {owner_name(status.st_uid)}, expected {wanted}", REBUILD)


def owner_name(uid: int) -> str:
    """A user's name, or their number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

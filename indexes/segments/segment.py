"""Index files of a run of chunks: a folder with an inverted index and vectors, written once and then only mapped."""

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from ..errors import CollectionError
from ..files.folder import Folder
from ..storage.segment_table import FILE, NAME, FileSum, SegmentRow
from . import bm25
from .bm25 import Array
from .dense import DensePart
from .lexical import LexicalPart
from .postings import Postings, map_array, write_array

FOLDER = "segments"
_PEAKS = "peaks.npy"
NONE_DEAD: Array = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Segment:
    """Both indexes of some chunks; `dense` is None where they have no vectors."""

    postings: Postings
    peaks: Array
    lexical: LexicalPart
    dense: DensePart | None

    @classmethod
    def of(cls, postings: Postings, dense: DensePart | None) -> "Segment":
        """A segment in memory."""
        mean = float(postings.lengths.mean()) if len(postings) else 1.0
        lengths = postings.lengths[postings.rows]
        peaks = bm25.peaks(postings.counts, lengths, postings.starts, max(mean, 1e-9))
        return cls(postings, peaks, LexicalPart(postings, peaks, NONE_DEAD), dense)

    @classmethod
    def read(cls, folder: Folder, dead: Array, vectors: bool = True) -> "Segment":
        """The segment in a folder without its dead chunks, and without its vectors if they are not wanted.

        Raises what NumPy and FAISS raise where a file is missing or is not what was written.
        """
        postings = Postings.read(folder)
        peaks = map_array(folder, _PEAKS)
        dense = DensePart.read(folder, postings.chunk_ids, dead) if vectors and DensePart.stands_in(folder) else None
        return cls(postings, peaks, LexicalPart(postings, peaks, dead), dense)

    def write(self, home: Folder, first_chunk: int, last_chunk: int) -> SegmentRow:
        """Writes a new folder below `home` down to the disk; it counts once its row is in the database."""
        name = f"{first_chunk}-{last_chunk}-{secrets.token_hex(4)}"
        with _closing(home.make_folder(FOLDER)) as segments, _closing(segments.make_folder(name)) as folder:
            self.postings.write(folder)
            write_array(folder, _PEAKS, self.peaks)
            if self.dense is not None:
                self.dense.write(folder)
            files = tuple(_sealed(folder, item) for item in folder.names())
            folder.sync()
            segments.sync()
        return SegmentRow(name, first_chunk, last_chunk, len(self.postings), files)


def opened(home: Folder, row: SegmentRow, dead: Array, vectors: bool = True, compared: bool = True) -> Segment | None:
    """A segment that was written, without its dead chunks; None where a file is missing or is not what was written.

    `compared`: all content is read and compared with its checksum; else only that of files whose size or modification
    time is not the one that was written. That comes first, because FAISS crashes on some damaged files, and sizes once
    more at the end, because a writer may be deleting the folder meanwhile.
    """
    try:
        with _folder_of(home, row.name) as folder:
            if _strangers(folder, row) or not all(_is_as_written(folder, item, compared) for item in row.files):
                return None
            segment = Segment.read(folder, dead, vectors)
            return segment if all(_has_size(folder, item) for item in row.files) else None
    except Exception:  # NumPy and FAISS raise many kinds for damaged files
        return None


def _strangers(folder: Folder, row: SegmentRow) -> list[str]:
    """Files in a segment's folder that would be read and were not written with it."""
    written = {item.name for item in row.files}
    return [name for name in folder.names() if FILE.fullmatch(name) and name not in written]


def _is_as_written(folder: Folder, item: FileSum, compared: bool) -> bool:
    status = folder.status_of(item.name)
    if status is None or status.st_size != item.size_bytes:
        return False
    return (not compared and status.st_mtime_ns == item.mtime_ns) or _sha256(folder, item.name) == item.sha256


def _has_size(folder: Folder, item: FileSum) -> bool:
    status = folder.status_of(item.name)
    return status is not None and status.st_size == item.size_bytes


def damage(home: Folder, row: SegmentRow) -> list[str]:
    """Files of a segment whose content is not what was written, by checksum; every byte is read."""
    found = []
    with suppress(OSError, CollectionError), _folder_of(home, row.name) as folder:
        found = [f"{folder.path / name} does not belong there" for name in _strangers(folder, row)]
    for item in row.files:
        path = home.path / FOLDER / row.name / item.name
        try:
            with _folder_of(home, row.name) as folder:
                if _sha256(folder, item.name) != item.sha256:
                    found.append(f"{path} has changed since it was written")
        except CollectionError as error:
            found.append(str(error))
        except OSError as error:
            found.append(f"{path} cannot be read: {error.strerror or error}")
    return found


def has_codes(home: Folder, row: SegmentRow) -> bool:
    """Whether a segment has no vectors, or codes of them."""
    try:
        with _folder_of(home, row.name) as folder:
            return not DensePart.stands_in(folder) or DensePart.has_codes(folder)
    except (OSError, CollectionError):
        return False


def postings_of(home: Folder, row: SegmentRow) -> Postings:
    """The inverted index of a segment. Raises what NumPy raises where a file is damaged."""
    with _folder_of(home, row.name) as folder:
        return Postings.read(folder)


def leftovers(home: Folder, rows: Sequence[SegmentRow]) -> list[str]:
    """Names of folders of segments that are not in the table: of killed runs, and replaced ones.

    What is called otherwise was not made by this program and is left alone. Raises CollectionError where the folder
    of segments is a link or no folder.
    """
    valid = {row.name for row in rows}
    try:
        with _closing(home.folder(FOLDER)) as folder:
            names = folder.names()
            return [name for name in names if NAME.fullmatch(name) and name not in valid and _is_folder(folder, name)]
    except FileNotFoundError:
        return []


def _is_folder(folder: Folder, name: str) -> bool:
    status = folder.status_of(name)
    return status is not None and stat.S_ISDIR(status.st_mode)


def discard(home: Folder, name: str) -> None:
    """Deletes a segment's folder with the files that belong in one; it stays where it holds anything else."""
    if not NAME.fullmatch(name):
        return
    with suppress(OSError), _closing(home.folder(FOLDER)) as segments:
        with suppress(OSError), _closing(segments.folder(name)) as folder:
            for item in folder.names():
                if FILE.fullmatch(item):
                    folder.remove(item)
        segments.remove_folder(name)


@contextmanager
def _folder_of(home: Folder, name: str) -> Iterator[Folder]:
    with _closing(home.folder(FOLDER)) as segments, _closing(segments.folder(name)) as folder:
        yield folder


@contextmanager
def _closing(folder: Folder) -> Iterator[Folder]:
    try:
        yield folder
    finally:
        folder.close()


def _sealed(folder: Folder, name: str) -> FileSum:
    with folder.reading(name) as stream:
        status = os.fstat(stream.fileno())
    return FileSum(name, status.st_size, _sha256(folder, name), status.st_mtime_ns)


def _sha256(folder: Folder, name: str) -> str:
    with folder.reading(name) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Index files of a run of chunks: a folder with an inverted index and vectors, written once and then only mapped."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import bm25
from .bm25 import Array
from .dense import DensePart
from .lexical import LexicalPart
from .postings import Postings
from .segment_table import FileSum, SegmentRow

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
    def read(cls, folder: Path, dead: Array, vectors: bool = True) -> "Segment":
        """The segment in a folder without its dead chunks, and without its vectors if they are not wanted.

        Raises what NumPy and FAISS raise where a file is missing or is not what was written.
        """
        postings = Postings.read(folder)
        peaks = np.load(folder / _PEAKS, allow_pickle=False)
        dense = DensePart.read(folder, postings.chunk_ids, dead) if vectors and DensePart.stands_in(folder) else None
        return cls(postings, peaks, LexicalPart(postings, peaks, dead), dense)

    def write(self, home: Path, first_chunk: int, last_chunk: int) -> SegmentRow:
        """Writes a new folder below `home` down to the disk; it counts once its row is in the database."""
        name = f"{first_chunk}-{last_chunk}-{secrets.token_hex(4)}"
        folder = home / FOLDER / name
        folder.mkdir(parents=True)
        self.postings.write(folder)
        np.save(folder / _PEAKS, self.peaks, allow_pickle=False)
        if self.dense is not None:
            self.dense.write(folder)
        files = tuple(_sealed(path) for path in sorted(folder.iterdir()))
        _sync(folder)
        _sync(folder.parent)
        return SegmentRow(name, first_chunk, last_chunk, len(self.postings), files)


def opened(home: Path, row: SegmentRow, dead: Array, vectors: bool = True) -> Segment | None:
    """A segment that was written, without its dead chunks; None where a file is missing or is not what was written.

    Sizes are compared first, because FAISS crashes on some files that were cut off, and once more at the end, because
    a writer may be deleting the folder meanwhile.
    """
    if not _is_whole(home, row):
        return None
    try:
        segment = Segment.read(home / FOLDER / row.name, dead, vectors)
    except Exception:  # NumPy and FAISS raise many kinds for damaged files
        return None
    return segment if _is_whole(home, row) else None


def _is_whole(home: Path, row: SegmentRow) -> bool:
    """Whether a segment's files are there with the sizes that were written; their content is not read."""
    try:
        return all((home / FOLDER / row.name / item.name).stat().st_size == item.size_bytes for item in row.files)
    except OSError:
        return False


def damage(home: Path, row: SegmentRow) -> list[str]:
    """Files of a segment whose content is not what was written, by checksum; every byte is read."""
    found = []
    for item in row.files:
        path = home / FOLDER / row.name / item.name
        try:
            if _sha256(path) != item.sha256:
                found.append(f"{path} has changed since it was written")
        except OSError as error:
            found.append(f"{path} cannot be read: {error.strerror or error}")
    return found


def leftovers(home: Path, rows: Sequence[SegmentRow]) -> Iterable[Path]:
    """Folders of segments that are not in the table: of killed runs, and replaced ones."""
    valid = {row.name for row in rows}
    folder = home / FOLDER
    return [path for path in folder.iterdir() if path.name not in valid] if folder.is_dir() else []


def _sealed(path: Path) -> FileSum:
    _sync(path)
    return FileSum(path.name, path.stat().st_size, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

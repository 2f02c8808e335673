"""An inverted index as flat arrays that can be mapped from files: built from chunks, merged, and read term by term."""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..files.folder import Folder

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Postings:
    """n chunks, t terms, p postings; rows number the chunks from 0 in the order of their ids.

    chunk_ids [n] int64, rising; lengths [n] uint32, terms in each chunk;
    letters [·] uint8, the terms in UTF-8 one after another, in byte order; ends [t] int64, where each ends;
    starts [t + 1] int64, where a term's postings begin; rows [p] int32, rising within a term;
    counts [p] uint16, how often the term is in the chunk (65,535 at most).
    """

    chunk_ids: Array
    lengths: Array
    letters: Array
    ends: Array
    starts: Array
    rows: Array
    counts: Array

    @classmethod
    def build(cls, chunks: Iterable[tuple[int, Sequence[str]]]) -> "Postings":
        """The index of chunks (id, terms) with rising ids."""
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        chunk_ids, lengths, read = [], [], array("i")
        for chunk_id, terms in chunks:
            chunk_ids.append(chunk_id)
            lengths.append(len(terms))
            read.extend(map(numbers.__getitem__, terms))
        words = sorted((term.encode(), number) for term, number in numbers.items())
        place = np.empty(len(words), dtype=np.int64)
        place[[number for _, number in words]] = np.arange(len(words))
        # One number for a term in a chunk; sorted, equal ones stand together, by term and then by chunk.
        pairs = place[np.frombuffer(read, dtype=np.int32)] * len(chunk_ids) + np.repeat(
            np.arange(len(lengths)), lengths
        )
        pairs, counts = np.unique(pairs, return_counts=True)
        term_of, rows = np.divmod(pairs, max(len(chunk_ids), 1))
        return cls(
            np.asarray(chunk_ids, dtype=np.int64),
            np.asarray(lengths, dtype=np.uint32),
            *_dictionary([word for word, _ in words]),
            _starts(np.bincount(term_of, minlength=len(words))),
            rows.astype(np.int32),
            np.minimum(counts, 65_535).astype(np.uint16),
        )

    @classmethod
    def read(cls, folder: Folder) -> "Postings":
        """The index in a folder, mapped and not read.

        Raises OSError, ValueError or CollectionError where a file is not one of ours.
        """
        return cls(*(map_array(folder, f"{field.name}.npy") for field in fields(cls)))

    def write(self, folder: Folder) -> None:
        for field in fields(self):
            write_array(folder, f"{field.name}.npy", getattr(self, field.name))

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def term(self, number: int) -> bytes:
        start = int(self.ends[number - 1]) if number else 0
        return self.letters[start : int(self.ends[number])].tobytes()

    def vocabulary(self) -> list[bytes]:
        """All terms in byte order."""
        letters, ends = self.letters.tobytes(), self.ends.tolist()
        return [letters[start:end] for start, end in pairwise([0, *ends])]

    def number(self, term: str) -> int | None:
        """A term's place in the vocabulary; None where no chunk holds it."""
        wanted = term.encode("utf-8", "surrogatepass")
        number = bisect_left(range(len(self.ends)), wanted, key=self.term)
        return number if number < len(self.ends) and self.term(number) == wanted else None

    def of(self, number: int) -> tuple[Array, Array]:
        """Rows and counts of the term at a place in the vocabulary."""
        span = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self.rows[span], self.counts[span]

    def bags(self) -> Iterator[tuple[int, list[str]]]:
        """Id and terms of every chunk, the terms in byte order and not in the text's."""
        bags: list[list[str]] = [[] for _ in range(len(self))]
        starts, rows, counts = self.starts.tolist(), self.rows.tolist(), self.counts.tolist()
        for number, word in enumerate(self.vocabulary()):
            term = word.decode()
            for posting in range(starts[number], starts[number + 1]):
                bags[rows[posting]].extend([term] * counts[posting])
        yield from zip(self.chunk_ids.tolist(), bags, strict=True)


def merge(parts: Sequence[Postings], dead: Array) -> Postings:
    """One index of the chunks of parts whose ids follow one another, without the dead."""
    parts = [_without(part, dead) for part in parts]
    vocabularies = [part.vocabulary() for part in parts]
    words = sorted(set().union(*vocabularies))
    numbers = {word: number for number, word in enumerate(words)}
    places = [np.fromiter((numbers[word] for word in some), np.int64, len(some)) for some in vocabularies]
    held = [np.diff(part.starts) for part in parts]
    totals = np.zeros(len(words), dtype=np.int64)
    for place, count in zip(places, held, strict=True):
        totals[place] += count
    starts = _starts(totals)
    rows = np.empty(int(starts[-1]), dtype=np.int32)
    counts = np.empty(int(starts[-1]), dtype=np.uint16)
    free, before = starts[:-1].copy(), 0
    for part, place, count in zip(parts, places, held, strict=True):
        target = np.repeat(free[place] - part.starts[:-1], count) + np.arange(len(part.rows))
        rows[target] = part.rows + np.int32(before)
        counts[target] = part.counts
        free[place] += count
        before += len(part)
    chunk_ids = np.concatenate([part.chunk_ids for part in parts])
    lengths = np.concatenate([part.lengths for part in parts])
    return Postings(chunk_ids, lengths, *_dictionary(words), starts, rows, counts)


def _without(part: Postings, dead: Array) -> Postings:
    """The part without dead chunks and without terms that no chunk is left for."""
    alive = ~np.isin(part.chunk_ids, dead)
    if alive.all():
        return part
    kept = alive[part.rows]
    new_row = (np.cumsum(alive) - 1).astype(np.int32)
    running = np.concatenate([[0], np.cumsum(kept)])
    held = np.diff(running[part.starts])
    words = [word for word, count in zip(part.vocabulary(), held.tolist(), strict=True) if count]
    return Postings(
        part.chunk_ids[alive],
        part.lengths[alive],
        *_dictionary(words),
        _starts(held[held > 0]),
        new_row[part.rows[kept]],
        part.counts[kept],
    )


def _dictionary(words: Sequence[bytes]) -> tuple[Array, Array]:
    ends = np.cumsum(np.fromiter(map(len, words), np.int64, len(words)), dtype=np.int64)
    return np.frombuffer(b"".join(words), dtype=np.uint8), ends


def _starts(held: Array) -> Array:
    starts = np.zeros(len(held) + 1, dtype=np.int64)
    np.cumsum(held, out=starts[1:])
    return starts


def write_array(folder: Folder, name: str, array: Array) -> None:
    with folder.writing(name) as stream:
        np.save(stream, array, allow_pickle=False)


def map_array(folder: Folder, name: str) -> Array:
    """A mapped array. Empty ones cannot be mapped, so they are read."""
    with folder.path_of(name) as path:
        try:
            mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            return mapped.view(np.ndarray)
        except ValueError:
            array: Array = np.load(path, allow_pickle=False)
            if array.size:
                raise
            return array

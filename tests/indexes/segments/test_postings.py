"""The inverted index against a dict of counters."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.files.folder import Folder
from indexes.segments.postings import Postings, merge

Chunks = list[tuple[int, list[str]]]

# Terms that are prefixes of each other, that sort otherwise as text than as bytes, and letters beyond the first plane.
TERMS = ["a", "ab", "abc", "b", "z", "é", "über", "ﬀ", "漢字", "𝔸", "\uffff", "1", "10", "3240"]


@st.composite
def corpora(draw: st.DrawFn, most: int = 12) -> Chunks:
    """Chunks with rising ids that leave gaps."""
    bags = draw(st.lists(st.lists(st.sampled_from(TERMS), max_size=8), max_size=most))
    steps = draw(st.lists(st.integers(1, 5), min_size=len(bags), max_size=len(bags)))
    return list(zip(accumulate(steps), bags, strict=True))


def _table(postings: Postings) -> dict[str, dict[int, int]]:
    """Counts by term and chunk id, as the arrays say it."""
    ids = postings.chunk_ids.tolist()
    found = {}
    for number, word in enumerate(postings.vocabulary()):
        rows, counts = postings.of(number)
        assert sorted(set(rows.tolist())) == rows.tolist()
        found[word.decode()] = {ids[row]: count for row, count in zip(rows.tolist(), counts.tolist(), strict=True)}
    return found


def _oracle(chunks: Chunks) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for chunk_id, terms in chunks:
        for term, count in Counter(terms).items():
            found.setdefault(term, {})[chunk_id] = count
    return found


def _holds(postings: Postings, chunks: Chunks) -> bool:
    lengths = {chunk_id: len(terms) for chunk_id, terms in chunks}
    assert dict(zip(postings.chunk_ids.tolist(), postings.lengths.tolist(), strict=True)) == lengths
    assert {chunk_id: Counter(bag) for chunk_id, bag in postings.bags()} == {i: Counter(t) for i, t in chunks}
    return len(postings) == len(chunks) and _table(postings) == _oracle(chunks)


def _same(one: Postings, other: Postings) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Postings)]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


@given(corpora())
def test_an_index_holds_what_a_dict_would(chunks: Chunks) -> None:
    assert _holds(Postings.build(chunks), chunks)


@given(corpora())
def test_terms_are_in_byte_order_and_each_is_found_at_its_place(chunks: Chunks) -> None:
    postings = Postings.build(chunks)
    words = postings.vocabulary()
    assert words == sorted(words)
    for term in [*TERMS, "", "abcd", "zz", "\U0010ffff", "\udce9"]:
        place = words.index(term.encode()) if term in {word.decode() for word in words} else None
        assert postings.number(term) == place


@given(st.lists(corpora(6), min_size=1, max_size=4), st.data())
def test_a_merge_without_the_dead_equals_an_index_of_the_living(parts: list[Chunks], data: st.DataObject) -> None:
    offsets = accumulate([chunks[-1][0] if chunks else 0 for chunks in parts], initial=0)
    parts = [[(i + offset, terms) for i, terms in chunks] for chunks, offset in zip(parts, offsets, strict=False)]
    chunks = [chunk for part in parts for chunk in part]
    dead = data.draw(st.sets(st.integers(0, 80)))
    merged = merge([Postings.build(part) for part in parts], np.array(sorted(dead), dtype=np.int64))
    living = [(i, terms) for i, terms in chunks if i not in dead]
    assert _holds(merged, living)
    assert _same(merged, Postings.build(living))


@settings(max_examples=30, deadline=None)
@given(corpora())
def test_a_written_index_is_the_same_when_it_is_mapped(chunks: Chunks) -> None:
    postings = Postings.build(chunks)
    with tempfile.TemporaryDirectory() as folder:
        postings.write(Folder.open(Path(folder)))
        mapped = Postings.read(Folder.open(Path(folder)))
        assert _same(mapped, postings)
        assert _holds(mapped, chunks)
        assert _holds(merge([mapped], np.zeros(0, dtype=np.int64)), chunks)


@pytest.mark.parametrize("chunks", [[], [(7, [])], [(7, []), (9, [])], [(7, ["a"])]])
def test_the_smallest_indexes(chunks: Chunks, tmp_path: Path) -> None:
    postings = Postings.build(chunks)
    postings.write(Folder.open(tmp_path))
    for one in (
        postings,
        Postings.read(Folder.open(tmp_path)),
        merge([postings, Postings.build([])], np.zeros(0, dtype=np.int64)),
    ):
        assert _holds(one, chunks)
        assert one.number("b") is None


def test_a_count_stops_at_the_most_that_its_type_holds() -> None:
    rows, counts = Postings.build([(1, ["x"] * 70_000)]).of(0)
    assert (rows.tolist(), counts.tolist()) == ([0], [65_535])


@pytest.mark.parametrize("content", [b"words, no array" * 9, b"\x93NUMPY\x01\x00", b"\x80\x04."])
@pytest.mark.parametrize("name", [field.name for field in fields(Postings)])
def test_a_foreign_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    Postings.build([(1, ["a", "b"]), (2, ["b"])]).write(Folder.open(tmp_path))
    (tmp_path / f"{name}.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        Postings.read(Folder.open(tmp_path))


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Postings.read(Folder.open(tmp_path))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    Postings.build([(1, ["a"])]).write(Folder.open(tmp_path))
    array: Sequence[object] = [{"an": "object"}]
    np.save(tmp_path / "rows.npy", np.array(array, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Postings.read(Folder.open(tmp_path))

"""The list of segments: ranges, gaps and the dead, against sets of numbers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.storage.segment_table import FileSum, SegmentRow
from indexes.storage.store import Store
from tests.support.stores import drop_document, new_store, put_document


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    yield made
    made.close()


def _row(first: int, last: int) -> SegmentRow:
    return SegmentRow(
        f"{first}-{last}-0123abcd", first, last, last - first + 1, (FileSum("rows.npy", 7, "ab" * 32, 9),)
    )


def test_what_goes_in_comes_out_by_chunk_id(store: Store) -> None:
    rows = [_row(11, 20), _row(1, 10)]
    for row in rows:
        store.segments.replace([], row)
    assert store.segments.all() == sorted(rows, key=lambda row: row.first_chunk)
    store.segments.replace(rows, _row(1, 20))
    assert store.segments.all() == [_row(1, 20)]
    store.segments.drop("1-20-0123abcd")
    assert store.segments.all() == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), max_size=10, unique=True), st.integers(0, 35))
def test_gaps_are_the_numbers_in_no_segment(edges: list[int], last: int) -> None:
    edges.sort()
    ranges = list(zip(edges[::2], edges[1::2], strict=False))
    with tempfile.TemporaryDirectory() as folder:
        store = new_store(Path(folder) / ".fathom")
        for first, end in ranges:
            store.segments.replace([], _row(first, end))
        gaps = store.segments.gaps(last)
        store.close()
    covered = {number for first, end in ranges for number in range(first, end + 1)}
    uncovered = {number for first, end in gaps for number in range(first, end + 1)}
    assert uncovered == set(range(1, max([last, *edges[: 2 * len(ranges)]]) + 1)) - covered
    assert sum(end - first + 1 for first, end in gaps) == len(uncovered)  # none twice


def test_the_dead_are_those_that_left_and_go_when_their_segment_is_written_anew(store: Store) -> None:
    put_document(store, "a.txt", ["1", "2", "3"])
    put_document(store, "b.txt", ["4", "5"])
    store.segments.replace([], _row(1, 5))
    drop_document(store, "a.txt")
    assert store.segments.dead() == [1, 2, 3]
    assert store.segments.dead_in(_row(2, 9)) == 2
    store.segments.replace([_row(1, 5)], _row(4, 5))
    assert store.segments.dead() == []


def test_the_dead_of_no_segment_are_forgotten_and_the_others_stay(store: Store) -> None:
    put_document(store, "a.txt", ["1", "2", "3"])
    store.segments.replace([], _row(2, 2))
    drop_document(store, "a.txt")
    store.segments.forget_dead_outside()
    assert store.segments.dead() == [2]

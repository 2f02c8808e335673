"""The writer's side: everything covered, few segments, the dead written out, damage healed."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.encoders.embedding import HashEncoder
from indexes.search.view import open_view
from indexes.segments.compaction import Compaction, segment_of
from indexes.segments.segment import FOLDER, damage, postings_of
from indexes.storage.segment_table import SegmentRow
from indexes.storage.store import Store
from indexes.text.tokens import index_terms
from tests.support.stores import drop_document, new_store, put_document, texts

RATIO, DEAD_SHARE = 4, 0.2  # what compaction.py promises


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = new_store(tmp_path / ".fathom")
    yield made
    made.close()


def _grow(store: Store, runs: list[int], first: int = 0) -> None:
    """Runs that each add one document of so many chunks and settle."""
    for number, chunks in enumerate(runs, first):
        put_document(store, f"{number}.txt", texts(chunks, f"word{number}"))
        _run(store)


def _run(store: Store) -> None:
    compaction = Compaction(store)
    compaction.clear()
    compaction.settle()


def _sizes(store: Store) -> list[int]:
    return [row.chunks for row in store.segments.all()]


def _folders(store: Store) -> set[str]:
    folder = store.folder / FOLDER
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _check(store: Store) -> None:
    """Files hold exactly the chunks of the database, by both indexes, and no others lie about."""
    rows = store.segments.all()
    assert store.segments.gaps(store.last_chunk()) == [] or not store.chunk_ids(*_span(store))
    assert _folders(store) == {row.name for row in rows}
    assert [line for row in rows for line in damage(store.home, row)] == []
    dead = set(store.segments.dead())
    found: dict[int, list[str]] = {}
    for row in rows:
        bags = dict(postings_of(store.home, row).bags())
        assert len(bags) == row.chunks
        found.update({i: sorted(bag) for i, bag in bags.items() if i not in dead})
    expected = {i: sorted(index_terms(context, text)) for i, context, text in store.chunk_texts(0, 2**62)}
    assert found == expected
    view = open_view(store, last_try=False)
    assert len(view.lexical) == sum(part.chunks for part in view.dense) == len(expected)


def _span(store: Store) -> tuple[int, int]:
    return store.segments.gaps(store.last_chunk())[-1]


def test_chunks_are_covered_once(store: Store) -> None:
    put_document(store, "a.txt", texts(30))
    compaction = Compaction(store)
    assert compaction.uncovered() == 30
    compaction.cover()
    assert (_sizes(store), compaction.uncovered()) == ([30], 0)
    before = store.segments.all(), store.generation
    compaction.cover()
    assert (store.segments.all(), store.generation) == before


def test_an_empty_collection_has_no_segments(store: Store) -> None:
    _run(store)
    assert (_sizes(store), _folders(store)) == ([], set())


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=14))
def test_each_segment_is_several_times_as_large_as_the_next(
    tmp_path_factory: pytest.TempPathFactory, runs: list[int]
) -> None:
    store = new_store(tmp_path_factory.mktemp("runs") / ".fathom")
    _grow(store, runs)
    sizes = _sizes(store)
    assert sum(sizes) == sum(runs)
    assert all(large >= RATIO * small for large, small in itertools.pairwise(sizes))
    _check(store)
    store.close()


def test_many_small_runs_leave_few_segments(store: Store) -> None:
    most = 0
    for number in range(60):
        _grow(store, [1], number)
        most = max(most, len(_sizes(store)))
    assert most <= 4  # 1 + 4 + 16 + 64 > 60
    _check(store)


def test_segments_of_one_size_are_joined_while_a_run_goes_on(store: Store) -> None:
    compaction = Compaction(store)
    for number in range(7):
        put_document(store, f"{number}.txt", texts(3, f"word{number}"))
        compaction.cover()
        compaction.join_equals()
    assert _sizes(store) == [3] * 7
    put_document(store, "8.txt", texts(20))
    compaction.cover()
    compaction.join_equals()
    assert _sizes(store) == [44 - 3]  # 7 · 3 + 20: the largest is less than 8 times the smallest
    _check(store)


def test_a_large_segment_is_left_alone_by_small_ones(store: Store) -> None:
    _grow(store, [100])
    large = store.segments.all()[0]
    _grow(store, [5, 5], 1)
    assert store.segments.all()[0] == large
    assert _sizes(store) == [100, 10]


def test_a_segment_with_many_dead_is_written_anew_and_one_with_few_is_not(store: Store) -> None:
    for number in range(10):
        put_document(store, f"{number}.txt", texts(10, f"word{number}"))
    _run(store)
    before = store.segments.all()
    for number in (3, 7):
        drop_document(store, f"{number}.txt")
    _run(store)
    assert store.segments.all() == before  # 20 of 100 are dead, which is not more than the share
    assert len(store.segments.dead()) == DEAD_SHARE * 100
    _check(store)
    drop_document(store, "0.txt")
    _run(store)
    assert _sizes(store) == [70]
    assert store.segments.dead() == []
    _check(store)


def test_a_segment_whose_chunks_are_all_dead_goes(store: Store) -> None:
    _grow(store, [10])
    drop_document(store, "0.txt")
    _run(store)
    assert (_sizes(store), _folders(store), store.segments.dead()) == ([], set(), [])
    assert len(open_view(store, last_try=False).lexical) == 0


def test_chunks_that_leave_before_they_are_covered_are_not_remembered(store: Store) -> None:
    put_document(store, "a.txt", texts(5))
    drop_document(store, "a.txt")
    put_document(store, "b.txt", texts(5))
    _run(store)
    assert store.segments.dead() == []
    _check(store)


def test_readers_are_told_of_each_change_of_the_files(store: Store) -> None:
    put_document(store, "a.txt", texts(5))
    before = store.generation
    _run(store)
    covered = store.generation
    assert covered > before
    shutil.rmtree(store.folder / FOLDER)
    Compaction(store).clear()
    assert store.generation > covered


def test_work_on_a_join_is_told(store: Store) -> None:
    said: list[str] = []
    _grow(store, [3, 3])
    put_document(store, "b.txt", texts(4))
    Compaction(store, said.append).settle()
    assert said == ["joining 10 chunks of the index"]


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.booleans()), max_size=12))
def test_files_follow_the_database_through_any_changes(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bool]]
) -> None:
    store = new_store(tmp_path_factory.mktemp("changes") / ".fathom")
    for document, chunks, settles in changes:
        path = f"{document}.txt"
        if chunks:
            put_document(store, path, texts(chunks, f"word{document}"))
        else:
            drop_document(store, path)
        if settles:
            _run(store)
            _check(store)
    _run(store)
    _check(store)
    store.close()


# Damage


def _largest(store: Store, name: str) -> Path:
    return store.folder / FOLDER / store.segments.all()[0].name / name


@pytest.mark.parametrize("name", ["rows.npy", "chunk_ids.npy", "peaks.npy", "vectors.faiss"])
@pytest.mark.parametrize("kind", ["gone", "empty", "cut", "another header"])
def test_a_damaged_segment_is_searched_in_memory_and_healed_by_the_next_run(store: Store, name: str, kind: str) -> None:
    _grow(store, [40, 5])
    path = _largest(store, name)
    whole = path.read_bytes()
    if kind == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "another header": b"x" * len(whole)}[kind])
    view = open_view(store, last_try=True)
    assert len(view.lexical) == sum(part.chunks for part in view.dense) == 45
    vector = HashEncoder().encode_query("0.txt " + texts(8, "word0")[7])
    assert next(item.chunk_id for part in view.dense for item in part.search(vector, 1)) == 8
    _run(store)
    _check(store)


def _flip(path: Path) -> None:
    """Another value in the middle of the file's content, its size unchanged."""
    data = bytearray(path.read_bytes())
    data[(len(data) + 128) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["letters.npy", "rows.npy", "counts.npy", "lengths.npy", "vectors.faiss"])
def test_a_join_does_not_seal_damaged_content_with_new_checksums(store: Store, name: str) -> None:
    _grow(store, [40, 5])
    _flip(_largest(store, name))
    _grow(store, [20], 2)  # too large to stay beside the 40
    assert _sizes(store) == [65]
    _check(store)


def test_flipped_content_is_healed_where_the_folder_is_deleted_as_the_check_says(store: Store) -> None:
    _grow(store, [40, 5])
    _flip(_largest(store, "counts.npy"))
    assert len(damage(store.home, store.segments.all()[0])) == 1
    shutil.rmtree(store.folder / FOLDER)
    _run(store)
    _check(store)


def test_what_a_killed_run_left_is_deleted(store: Store) -> None:
    _grow(store, [10])
    put_document(store, "b.txt", texts(3))
    segment_of(store, 11, 13).write(store.home, 11, 13)  # and killed before its row was written
    (store.folder / FOLDER / "1-9-0123abcd").mkdir()
    (store.folder / FOLDER / "1-9-0123abcd" / "rows.npy").write_bytes(b"half")
    assert len(_folders(store)) == 3
    _run(store)
    _check(store)


def test_a_table_of_segments_that_overlap_nothing_is_kept_by_what_replaces_them(store: Store) -> None:
    _grow(store, [8, 1, 1])
    rows = store.segments.all()
    edges = [(row.first_chunk, row.last_chunk) for row in rows]
    assert edges == sorted(edges)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(edges))
    assert isinstance(rows[0], SegmentRow)
    assert np.all(np.diff([row.chunks for row in rows]) < 0)

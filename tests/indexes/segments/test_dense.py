"""FAISS against NumPy brute force, and index files that are damaged."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.encoders.embedding import Vectors
from indexes.files.folder import Folder
from indexes.segments import dense
from indexes.segments.dense import DEPTH, DensePart, best, vectors_of

TOLERANCE = 1e-5  # float32 sums of 8 products in another order
NONE_DEAD = np.zeros(0, dtype=np.int64)
FILE, CODES_FACTS = "vectors.faiss", "codes.json"

Ids = npt.NDArray[np.int64]


def unit(seed: int, rows: int, dimension: int = 8) -> Vectors:
    return _normed(np.random.default_rng(seed).standard_normal((rows, dimension)))


def _normed(vectors: npt.NDArray[Any]) -> Vectors:
    normed: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return normed


def _clustered(seed: int, rows: int, dimension: int = 24) -> Vectors:
    """Vectors around 80 centres, as topics are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((80, dimension))
    return _normed(centres[rng.integers(0, 80, rows)] + 0.6 * rng.standard_normal((rows, dimension)))


def _stored(vectors: Vectors) -> Vectors:
    """The vectors as half precision keeps them."""
    return vectors.astype(np.float16).astype(np.float32)


def _part(vectors: Vectors, dead: Sequence[int], folder: Path, first_id: int = 0, exact: bool = True) -> DensePart:
    """A part with ids that leave gaps, written and mapped."""
    ids = first_id + 3 * np.arange(len(vectors), dtype=np.int64)
    folder.mkdir(exist_ok=True)
    DensePart.build(ids, [vectors[:5], vectors[5:]] if len(vectors) > 5 else [vectors], exact).write(
        Folder.open(folder)
    )
    return DensePart.read(Folder.open(folder), ids, np.array(dead, dtype=np.int64))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 30), min_size=1, max_size=3),
    st.sets(st.integers(0, 270)),
    st.integers(-1, 100),
)
def test_parts_with_dead_chunks_equal_brute_force_over_the_living(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int], dead: set[int], k: int
) -> None:
    folder, query = tmp_path_factory.mktemp("dense"), unit(seed + 1, 1)[0]
    parts, scores = [], {}
    for number, size in enumerate(sizes):
        vectors = _stored(unit(seed + 2 + number, size))  # as they are kept: FAISS rounds a tie another way than NumPy
        parts.append(_part(vectors, sorted(dead), folder / str(number), 90 * number))
        for row, score in enumerate(vectors @ query):
            if 90 * number + 3 * row not in dead:
                scores[90 * number + 3 * row] = float(score)
    found = best(parts, query, k)
    order = sorted(scores, key=lambda i: -scores[i])[: max(k, 0)]
    assert sum(part.chunks for part in parts) == len(scores)
    assert [item.chunk_id for item in found] == order
    np.testing.assert_allclose([item.score for item in found], [scores[i] for i in order], atol=TOLERANCE)


@pytest.mark.parametrize("k", [1, 2, 3, 8, 20])
def test_equal_scores_come_by_chunk_id_even_at_the_last_place(tmp_path: Path, k: int) -> None:
    vectors = np.tile(unit(1, 1), (4, 1))
    parts = [_part(vectors, [6], tmp_path / "a"), _part(vectors, [], tmp_path / "b", 12)]
    assert [item.chunk_id for item in best(parts, vectors[0], k)] == [0, 3, 9, 12, 15, 18, 21][:k]


def test_a_part_of_nothing_and_k_of_nought_find_nothing() -> None:
    empty = DensePart.build(NONE_DEAD, [])
    assert (empty.chunks, empty.search(unit(1, 1)[0], 5)) == (0, [])
    assert DensePart.build(np.array([1]), [unit(1, 1)]).search(unit(1, 1)[0], 0) == []
    assert best([], unit(1, 1)[0], 5) == []


def test_a_part_whose_chunks_are_all_dead_finds_nothing(tmp_path: Path) -> None:
    part = _part(unit(1, 3), [0, 3, 6], tmp_path)
    assert (part.chunks, part.search(unit(1, 1)[0], 5)) == (0, [])


@pytest.mark.parametrize("exact", [True, False])
def test_ids_and_vectors_must_be_as_many(exact: bool) -> None:
    with pytest.raises(ValueError, match="2 chunk ids for 1 vectors"):
        DensePart.build(np.array([1, 2]), [unit(1, 1)], exact)
    with pytest.raises(ValueError, match="1 chunk ids for 0 vectors"):
        DensePart.build(np.array([1]), [], exact)


def test_codes_find_what_an_exact_search_finds_for_questions_they_have_not_seen(tmp_path: Path) -> None:
    vectors, queries = _clustered(1, 5_000), _clustered(2, 100)
    part = _part(vectors, [], tmp_path, exact=False)
    assert part.codes is not None
    assert part.codes.candidates < 5_000 / 4  # else every vector would be read
    assert part.codes.recall >= 0.99
    found = 0
    for query in queries:
        wanted = 3 * np.argsort(-(_stored(vectors) @ query), kind="stable")[:DEPTH]
        found += len(np.intersect1d(wanted, [item.chunk_id for item in part.search(query, DEPTH)]))
    assert found / (len(queries) * DEPTH) >= 0.98


def test_codes_in_shards_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, query = _clustered(1, 5_000), _clustered(2, 1)[0]
    whole = _part(vectors, [9], tmp_path / "whole", exact=False)
    monkeypatch.setattr(dense, "_SHARD_ROWS", 1_999)
    split = _part(vectors, [9], tmp_path / "split", exact=False)
    assert whole.codes is not None
    assert split.codes is not None
    assert [shard.ntotal for shard in split.codes.shards] == [1_666, 1_667, 1_667]
    assert split.search(query, DEPTH) == whole.search(query, DEPTH)


def test_vectors_are_read_where_codes_do_not_reach_the_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, query = _clustered(1, 5_000), _clustered(2, 1)[0]
    monkeypatch.setattr(dense, "RECALL", 1.1)
    part = _part(vectors, [], tmp_path, exact=False)
    assert part.codes is not None
    assert (part.codes.shards, part.codes.candidates) == ((), 0)
    assert DensePart.has_codes(Folder.open(tmp_path))  # else every run would try again
    wanted = 3 * np.argsort(-(_stored(vectors) @ query), kind="stable")[:DEPTH]
    assert {item.chunk_id for item in part.search(query, DEPTH)} == set(wanted.tolist())


def test_codes_know_the_dead_and_score_as_brute_force_does(tmp_path: Path) -> None:
    vectors, query = _clustered(3, 10_000), _clustered(4, 1)[0]
    dead = (3 * np.arange(0, 10_000, 2)).tolist()
    part = _part(vectors, dead, tmp_path, exact=False)
    assert part.codes is not None
    found = part.search(query, 50)
    assert len(found) == 50
    assert not {item.chunk_id for item in found} & set(dead)
    rows = [item.chunk_id // 3 for item in found]
    np.testing.assert_allclose([item.score for item in found], (_stored(vectors) @ query)[rows], atol=TOLERANCE)


@pytest.mark.parametrize("rows", [16, 40])
def test_codes_of_few_vectors_find_them_all(tmp_path: Path, rows: int) -> None:
    vectors = unit(5, rows)
    part = _part(vectors, [], tmp_path, exact=False)
    assert sorted(item.chunk_id for item in part.search(vectors[0], 100)) == [3 * row for row in range(rows)]


@pytest.mark.parametrize("exact", [True, False])
def test_a_written_part_is_the_same_when_it_is_mapped(tmp_path: Path, exact: bool) -> None:
    vectors, ids = unit(3, 60), np.arange(60)
    part = DensePart.build(ids, [vectors], exact)
    part.write(Folder.open(tmp_path))
    assert DensePart.stands_in(Folder.open(tmp_path))
    assert DensePart.has_codes(Folder.open(tmp_path)) is not exact
    mapped = DensePart.read(Folder.open(tmp_path), ids, NONE_DEAD)
    assert (mapped.codes is None) is exact
    assert mapped.search(vectors[4], 60) == part.search(vectors[4], 60)


def test_a_mapped_part_outlives_its_files(tmp_path: Path) -> None:
    vectors = unit(3, 60)
    part = _part(vectors, [], tmp_path)
    expected = part.search(vectors[4], 60)
    (tmp_path / FILE).unlink()
    assert part.search(vectors[4], 60) == expected


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    assert not DensePart.stands_in(Folder.open(tmp_path))
    with pytest.raises(FileNotFoundError):
        DensePart.read(Folder.open(tmp_path), NONE_DEAD, NONE_DEAD)


def test_a_foreign_file_is_a_runtime_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"SQLite format 3\x00" * 50)
    with pytest.raises(RuntimeError):
        DensePart.read(Folder.open(tmp_path), NONE_DEAD, NONE_DEAD)


def test_an_index_of_another_number_of_vectors_is_refused(tmp_path: Path) -> None:
    _part(unit(1, 20), [], tmp_path)
    with pytest.raises(ValueError, match="holds 20 vectors for 19 chunks"):
        DensePart.read(Folder.open(tmp_path), np.arange(19), NONE_DEAD)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_description_of_the_codes_is_refused(tmp_path: Path, content: str) -> None:
    _part(unit(1, 20), [], tmp_path, exact=False)
    assert set(json.loads((tmp_path / CODES_FACTS).read_text())) == {"shards", "candidates", "recall"}
    (tmp_path / CODES_FACTS).write_text(content)
    with pytest.raises((ValueError, TypeError, KeyError)):
        DensePart.read(Folder.open(tmp_path), np.arange(20), NONE_DEAD)


def _outcome(work: Callable[[], object]) -> str:
    """What becomes of a process of its own that does the work: FAISS may take its process with it."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except (OSError, ValueError, RuntimeError):
            os._exit(1)
        except BaseException:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    return {0: "read", 1: "refused", 2: "another error"}.get(os.waitstatus_to_exitcode(status), "crashed")


def test_no_damaged_byte_is_more_than_an_error(tmp_path: Path) -> None:
    vectors, ids = unit(3, 20), np.arange(20)
    DensePart.build(ids, [vectors]).write(Folder.open(tmp_path))
    whole = (tmp_path / FILE).read_bytes()
    header = len(whole) - 20 * 8 * 2  # what is not a vector in half precision
    for position in range(header):
        (tmp_path / FILE).write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        outcome = _outcome(lambda: DensePart.read(Folder.open(tmp_path), ids, NONE_DEAD).search(vectors[0], 3))
        assert outcome in ("read", "refused"), f"byte {position}"


def test_no_damaged_byte_of_the_codes_is_more_than_an_error(tmp_path: Path) -> None:
    vectors, ids = _clustered(3, 5_000, 8), np.arange(5_000)
    DensePart.build(ids, [vectors], exact=False).write(Folder.open(tmp_path))
    path = tmp_path / "codes-0.faiss"
    whole = path.read_bytes()
    codes = len(whole) - len(vectors) * 8 // 4
    for position in (*range(120), *range(codes - 60, codes + 8), *range(len(whole) - 60, len(whole))):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        outcome = _outcome(lambda: DensePart.read(Folder.open(tmp_path), ids, NONE_DEAD).search(vectors[0], 3))
        assert outcome in ("read", "refused"), f"byte {position}"


def test_vectors_are_those_that_were_stored_in_the_order_of_their_ids(tmp_path: Path) -> None:
    vectors = unit(3, 60)
    parts = [
        _part(vectors[:20], [], tmp_path / "a"),
        _part(vectors[20:25], [60], tmp_path / "b", first_id=60),
        _part(vectors[25:], [], tmp_path / "c", first_id=75, exact=False),
    ]
    for rows in ([0, 19, 20, 25, 59], list(range(60)), [24], [58, 3, 21]):
        np.testing.assert_array_equal(vectors_of(parts, [3 * row for row in rows]), _stored(vectors)[rows])
    assert len(vectors_of(parts, [])) == 0


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    vectors, ids = unit(3, 20), np.arange(20)
    DensePart.build(ids, [vectors]).write(Folder.open(tmp_path))
    whole = (tmp_path / FILE).read_bytes()
    for length in (8, len(whole) // 2, len(whole) - 1):  # shorter ones crash FAISS, so sizes are compared before
        (tmp_path / FILE).write_bytes(whole[:length])
        with pytest.raises(RuntimeError):
            DensePart.read(Folder.open(tmp_path), ids, NONE_DEAD)

"""FAISS against NumPy brute force, and index files that are damaged."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.dense import DenseIndex
from indexes.embedding import Vectors

TOLERANCE = 1e-5  # float32 sums of 8 products in another order


def _unit(seed: int, rows: int, dimension: int = 8) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    normed: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return normed


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 80))
def test_search_equals_brute_force(seed: int, rows: int, k: int) -> None:
    vectors, query = _unit(seed, rows), _unit(seed + 1, 1)[0]
    ids = [1000 + 3 * row for row in range(rows)]
    found = DenseIndex.build(ids, vectors).search(query, k)
    scores = vectors @ query
    order = np.argsort(-scores, kind="stable")[:k]
    assert [item.chunk_id for item in found] == [ids[row] for row in order]
    np.testing.assert_allclose([item.score for item in found], scores[order], atol=TOLERANCE)


def test_equal_scores_come_by_chunk_id() -> None:
    vectors = np.tile(_unit(1, 1), (4, 1))
    assert [item.chunk_id for item in DenseIndex.build([9, 2, 7, 4], vectors).search(vectors[0], 4)] == [2, 4, 7, 9]


def test_a_written_index_reads_back_the_same_and_leaves_no_part_file(tmp_path: Path) -> None:
    vectors = _unit(3, 20)
    index = DenseIndex.build(range(20), vectors)
    path = tmp_path / "dense.1.faiss"
    index.write(path)
    index.write(path)
    assert [item.name for item in tmp_path.iterdir()] == ["dense.1.faiss"]
    again = DenseIndex.read(path)
    assert again.shape == index.shape == (20, 8)
    assert again.search(vectors[4], 20) == index.search(vectors[4], 20)


def test_an_empty_index_and_k_of_nought_find_nothing() -> None:
    empty = DenseIndex.build([], np.zeros((0, 8), dtype=np.float32))
    assert len(empty) == 0
    assert empty.search(_unit(1, 1)[0], 5) == []
    assert DenseIndex.build([1], _unit(1, 1)).search(_unit(1, 1)[0], 0) == []


def test_ids_and_vectors_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 chunk ids for 1 vectors"):
        DenseIndex.build([1, 2], _unit(1, 1))


def test_a_missing_empty_truncated_or_foreign_file_is_a_runtime_error(tmp_path: Path) -> None:
    path = tmp_path / "dense.1.faiss"
    with pytest.raises(RuntimeError):
        DenseIndex.read(path)
    DenseIndex.build(range(20), _unit(3, 20)).write(path)
    whole = path.read_bytes()
    for content in (b"", whole[:10], whole[:-1], b"SQLite format 3\x00" * 50):
        path.write_bytes(content)
        with pytest.raises(RuntimeError):
            DenseIndex.read(path)


def test_a_damaged_length_is_a_runtime_error_and_not_out_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "dense.1.faiss"
    DenseIndex.build(range(20), _unit(3, 20)).write(path)
    whole = path.read_bytes()
    for position in range(len(whole) - 20 * 8 * 4 - 20 * 8 - 8):  # headers, vectors, their count, ids
        path.write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
        with suppress(RuntimeError):
            assert len(DenseIndex.read(path).shape) == 2

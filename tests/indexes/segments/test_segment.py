"""Index files of a run of chunks: written, mapped, and told apart from damaged ones."""

import ast
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import indexes
from indexes.encoders.embedding import HashEncoder
from indexes.files.folder import Folder
from indexes.segments.compaction import segment_of
from indexes.segments.postings import Postings
from indexes.segments.segment import FOLDER, NONE_DEAD, Segment, damage, leftovers, opened
from indexes.storage.segment_table import SegmentRow
from tests.support.stores import new_store, put_document, texts

CHUNKS = 40
LEXICAL_FILES = {f"{name}.npy" for name in "chunk_ids lengths letters ends starts rows counts peaks".split()}


@pytest.fixture
def row(tmp_path: Path) -> SegmentRow:
    """A segment of CHUNKS chunks that was written below `tmp_path`."""
    store = new_store(tmp_path / ".fathom", CHUNKS)
    written = segment_of(store, 1, CHUNKS).write(Folder.open(tmp_path), 1, CHUNKS)
    store.close()
    return written


def _file(home: Path, row: SegmentRow, name: str) -> Path:
    return home / FOLDER / row.name / name


def test_a_written_segment_says_what_it_holds(tmp_path: Path, row: SegmentRow) -> None:
    assert row.name.startswith("1-40-")
    assert (row.first_chunk, row.last_chunk, row.chunks) == (1, CHUNKS, CHUNKS)
    assert {item.name for item in row.files} == LEXICAL_FILES | {"vectors.faiss"}
    for item in row.files:
        content = _file(tmp_path, row, item.name).read_bytes()
        assert (item.size_bytes, item.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_segment_without_vectors_has_no_dense_part(tmp_path: Path) -> None:
    store = new_store(tmp_path / ".fathom")
    put_document(store, "a.txt", texts(3), vectors=False)
    segment = segment_of(store, 1, 3)
    written = segment.write(Folder.open(tmp_path), 1, 3)
    store.close()
    assert segment.dense is None
    assert {item.name for item in written.files} == LEXICAL_FILES
    again = opened(Folder.open(tmp_path), written, NONE_DEAD)
    assert again is not None
    assert (again.dense, again.lexical.chunks) == (None, 3)


def test_a_mapped_segment_is_the_one_that_was_written_without_its_dead(tmp_path: Path, row: SegmentRow) -> None:
    segment = opened(Folder.open(tmp_path), row, np.array([2, 38, 99]))
    assert segment is not None
    assert segment.dense is not None
    assert segment.lexical.chunks == segment.dense.chunks == CHUNKS - 2
    assert segment.postings.chunk_ids.tolist() == list(range(1, CHUNKS + 1))
    found = segment.lexical.find("36")
    assert found is not None
    assert found.rows.tolist() == [36]
    assert segment.lexical.find("37") is None  # chunk 38 is dead
    best = segment.dense.search(HashEncoder().encode_query("a.txt " + texts(8)[7]), 1)
    assert [item.chunk_id for item in best] == [8]


def test_two_segments_of_the_same_chunks_have_different_names(tmp_path: Path, row: SegmentRow) -> None:
    store = new_store(tmp_path / "other", CHUNKS)
    again = segment_of(store, 1, CHUNKS).write(Folder.open(tmp_path), 1, CHUNKS)
    store.close()
    assert again.name != row.name
    sums = [[(item.name, item.sha256) for item in found.files] for found in (again, row)]
    assert sums[0] == sums[1]  # the same chunks give the same bytes


@pytest.mark.parametrize("name", sorted(LEXICAL_FILES | {"vectors.faiss"}))
@pytest.mark.parametrize("kind", ["gone", "empty", "cut", "longer", "a folder"])
def test_a_file_that_is_missing_or_of_another_size_is_never_opened(
    tmp_path: Path, row: SegmentRow, name: str, kind: str
) -> None:
    path = _file(tmp_path, row, name)
    whole = path.read_bytes()
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind != "gone":
        path.write_bytes({"empty": b"", "cut": whole[:-1], "longer": whole + b"\0"}[kind])
    assert opened(Folder.open(tmp_path), row, NONE_DEAD) is None
    (line,) = damage(Folder.open(tmp_path), row)
    assert str(path) in line


@pytest.mark.parametrize("name", sorted(LEXICAL_FILES))
def test_a_damaged_header_is_never_an_error(tmp_path: Path, row: SegmentRow, name: str) -> None:
    path = _file(tmp_path, row, name)
    whole = path.read_bytes()
    refused = 0
    for position in range(60):  # magic, version, the length and the words of the header
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        refused += opened(Folder.open(tmp_path), row, NONE_DEAD) is None
        assert damage(Folder.open(tmp_path), row)
    assert refused > 50


def test_a_flipped_bit_anywhere_is_told_with_the_name_of_the_file(tmp_path: Path, row: SegmentRow) -> None:
    assert damage(Folder.open(tmp_path), row) == []
    for item in row.files:
        path = _file(tmp_path, row, item.name)
        whole = path.read_bytes()
        for position in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            assert damage(Folder.open(tmp_path), row) == [f"{path} has changed since it was written"]
        path.write_bytes(whole)
    assert damage(Folder.open(tmp_path), row) == []


def test_folders_that_no_segment_owns_are_left_over(tmp_path: Path, row: SegmentRow) -> None:
    (tmp_path / FOLDER / "1-9-0123abcd").mkdir()
    (tmp_path / FOLDER / "somebody's").mkdir()
    assert list(leftovers(Folder.open(tmp_path), [row])) == ["1-9-0123abcd"]
    assert len(list(leftovers(Folder.open(tmp_path), []))) == 2
    shutil.rmtree(tmp_path / FOLDER)
    assert list(leftovers(Folder.open(tmp_path), [])) == []


def _calls(wanted: Callable[[ast.Call], bool]) -> list[tuple[str, ast.Call]]:
    found = []
    for path in sorted(Path(indexes.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [(path.name, node) for node in ast.walk(tree) if isinstance(node, ast.Call) and wanted(node)]
    return found


def test_arrays_are_read_and_written_without_pickles() -> None:
    def of_numpy(call: ast.Call) -> bool:
        return isinstance(call.func, ast.Attribute) and ast.unparse(call.func) in ("np.load", "np.save", "numpy.load")

    calls = _calls(of_numpy)
    assert len(calls) >= 3
    for name, call in calls:
        words = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert words.get("allow_pickle") == "False", f"{name}: {ast.unparse(call)}"


def test_a_segment_of_no_terms_is_written_and_mapped(tmp_path: Path) -> None:
    segment = Segment.of(Postings.build([(1, [])]), None)
    again = opened(Folder.open(tmp_path), segment.write(Folder.open(tmp_path), 1, 1), NONE_DEAD)
    assert again is not None
    assert (again.lexical.chunks, again.lexical.length, again.lexical.find("x")) == (1, 0, None)

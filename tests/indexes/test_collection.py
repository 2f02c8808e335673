"""The collection: opening, searching, its caches, and two processes at once."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexes.collection import Collection, find_collection
from indexes.documents import Chunk, Document, Hit
from indexes.embedding import Encoder, HashEncoder, Vectors
from indexes.errors import (
    CollectionBrokenError,
    CollectionBusyError,
    CollectionMissingError,
    CollectionVersionError,
    EncoderError,
    QueryError,
)
from indexes.fusion import weighted
from indexes.lexical import RankBM25Index, Scored
from indexes.ranking import MAX_QUERY_CHARACTERS, SearchMode, check_query, rank_documents
from indexes.store import DATABASE, Store
from indexes.tokens import terms
from tests.indexes.files import write

FILES: dict[str, str | bytes] = {
    "cells.md": "# Supply\n\nHexalith sells cells at 68 euros.\n",
    "fire.md": "# Safety\n\nA connector cracked and a cabinet burned in Taunton.\n",
    "board.md": "# Board\n\nThe board met about cells and cash.\n",
}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", FILES)


@pytest.fixture
def collection(tmp_path: Path, docs: Path) -> Iterator[Collection]:
    made = Collection.open_or_create(tmp_path / ".fathom", "hash")
    made.add([docs])
    yield made
    made.close()


# Opening


def test_the_nearest_collection_above_is_found(tmp_path: Path, collection: Collection) -> None:
    deep = tmp_path / "docs" / "x" / "y"
    deep.mkdir(parents=True)
    assert find_collection(deep) == collection.folder
    (deep / ".fathom").mkdir()  # a folder without a database is none
    assert find_collection(deep) == collection.folder
    assert find_collection(tmp_path.parent) is None


def test_opening_does_not_create(tmp_path: Path) -> None:
    with pytest.raises(CollectionMissingError, match="there is no collection in "):
        Collection.open(tmp_path / ".fathom")
    assert not (tmp_path / ".fathom").exists()


def test_an_encoder_that_is_missing_leaves_no_collection_behind(tmp_path: Path) -> None:
    def missing(name: str) -> Encoder | None:
        raise EncoderError(f"{name} is not installed")

    with pytest.raises(EncoderError, match="all-MiniLM-L6-v2 is not installed"):
        Collection.open_or_create(tmp_path / ".fathom", encoder_for=missing)
    assert not (tmp_path / ".fathom").exists()


def test_another_embedding_is_refused_and_the_same_or_none_named_is_not(collection: Collection) -> None:
    with pytest.raises(EncoderError, match="was made with the embedding 'hash', not 'none'") as caught:
        Collection.open_or_create(collection.folder, "none")
    assert "leave --embedding out" in caught.value.hint
    for name in ("hash", None):
        again = Collection.open_or_create(collection.folder, name)
        assert again.embedding == "hash"
        again.close()


def test_another_format_and_a_damaged_database_are_refused(collection: Collection) -> None:
    folder = collection.folder
    collection.close()
    store = Store.open(folder)
    store.set_meta("format_version", "2")
    store.close()
    with pytest.raises(CollectionVersionError, match="has format 2"):
        Collection.open_or_create(folder, "hash")
    (folder / DATABASE).write_bytes(b"garbage" * 1000)
    with pytest.raises(CollectionBrokenError, match="is damaged: file is not a database"):
        Collection.open_or_create(folder, "hash")
    assert (folder / DATABASE).read_bytes() == b"garbage" * 1000  # left as it is


def test_a_collection_moves_with_its_documents(collection: Collection, docs: Path, tmp_path: Path) -> None:
    collection.close()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    docs.rename(moved / "docs")
    (tmp_path / ".fathom").rename(moved / ".fathom")
    again = Collection.open(moved / ".fathom")
    assert {document.path for document in again.documents()} == {str(moved / "docs" / name) for name in FILES}
    assert sorted(again.add([moved / "docs"]).unchanged) == sorted(FILES)
    again.close()


# Searching


def test_a_lexical_search_ranks_as_bm25_does(collection: Collection) -> None:
    ids, tokenised = [], []
    for document in collection.documents():
        for chunk in collection.chunks_of(document.id):
            ids.append(chunk.id)
            tokenised.append(terms(f"{chunk.context}\n{chunk.text}"))
    expected = RankBM25Index(ids, tokenised).search("price of cells", 10)
    found = collection.search("price of cells", mode=SearchMode.LEXICAL)
    scores = {item.chunk_id: item.score for item in expected}
    assert {hit.chunk.id: hit.lexical_score for hit in found.hits} == pytest.approx(scores)
    assert [hit.lexical_rank for hit in found.hits] == list(range(1, len(expected) + 1))
    assert {hit.dense_rank for hit in found.hits} == {None}


def test_a_dense_search_ranks_as_brute_force_does(collection: Collection) -> None:
    encoder, query = HashEncoder(), "who sells cells"
    scores = {}
    for document in collection.documents():
        for chunk in collection.chunks_of(document.id):
            scores[chunk.id] = float(encoder.encode([f"{chunk.context}\n{chunk.text}"])[0] @ encoder.encode([query])[0])
    found = collection.search(query, mode=SearchMode.DENSE)
    assert {hit.chunk.id: hit.dense_score for hit in found.hits} == pytest.approx(scores, abs=1e-5)
    assert [hit.chunk.id for hit in found.hits] == sorted(scores, key=lambda i: (-scores[i], i))
    assert {hit.lexical_rank for hit in found.hits} == {None}


def test_a_hybrid_search_fuses_both_rankings(collection: Collection) -> None:
    query = "cells in Taunton"
    lexical = collection.search(query, mode=SearchMode.LEXICAL).hits
    dense = collection.search(query, mode=SearchMode.DENSE).hits
    expected = weighted(
        [Scored(hit.chunk.id, hit.lexical_score or 0.0) for hit in lexical],
        [Scored(hit.chunk.id, hit.dense_score or 0.0) for hit in dense],
    )
    found = collection.search(query)
    assert found.mode is SearchMode.HYBRID
    assert [hit.chunk.id for hit in found.hits] == [item.chunk_id for item in expected]
    assert [hit.score for hit in found.hits] == pytest.approx([item.score for item in expected])


def test_hits_carry_their_text_and_document(collection: Collection, docs: Path) -> None:
    best = collection.search("Taunton", k=1).hits
    assert len(best) == 1
    assert best[0].document.path == str(docs / "fire.md")
    text = collection.text(best[0].document.id)
    assert best[0].chunk.text == text[best[0].chunk.start : best[0].chunk.end]


def test_more_results_than_there_are_gives_all(collection: Collection) -> None:
    assert len(collection.search("cells", k=1_000_000).hits) == 3
    assert len(collection.search("cells", k=1_000_000, mode=SearchMode.LEXICAL).hits) == 2


def test_a_collection_of_one_chunk_can_be_searched_by_words(tmp_path: Path) -> None:
    write(tmp_path, {"only.md": "Cells cost 68 euros."})
    single = Collection.open_or_create(tmp_path / ".fathom", "none")
    single.add([tmp_path / "only.md"])
    assert [hit.document.name for hit in single.search("cells").hits] == ["only.md"]
    single.close()


def test_an_empty_collection_finds_nothing(tmp_path: Path) -> None:
    empty = Collection.open_or_create(tmp_path / ".fathom", "hash")
    for mode in SearchMode:
        assert empty.search("cells", mode=mode).hits == ()
    empty.close()


@pytest.mark.parametrize("query", ["", " \n\t"])
def test_an_empty_query_is_refused(collection: Collection, query: str) -> None:
    with pytest.raises(QueryError, match=r"^the question is empty$"):
        collection.search(query)


@pytest.mark.parametrize("query", ["?", "… — !?", "\x00"])
def test_a_query_without_a_word_is_refused(collection: Collection, query: str) -> None:
    with pytest.raises(QueryError, match="holds no word"):
        collection.search(query)


def test_a_query_over_the_limit_is_refused_and_one_at_it_is_not(collection: Collection) -> None:
    with pytest.raises(QueryError, match=r"^the question has 50,000 characters; at most 4,000 are taken$"):
        collection.search("x" * 50_000)
    check_query("x" * MAX_QUERY_CHARACTERS)
    assert len(collection.search("cells " * (MAX_QUERY_CHARACTERS // 6)).hits) == 3


@pytest.mark.parametrize("query", ["of the and", "' OR 1=1; --", "\udce9 cells", "🌊 a\x00b", 'NEAR(a*) "', "漢字"])
@pytest.mark.parametrize("mode", list(SearchMode))
def test_odd_queries_are_searched(collection: Collection, query: str, mode: SearchMode) -> None:
    assert len(collection.search(query, mode=mode).hits) <= 3


@pytest.mark.parametrize("k", [0, -1])
def test_no_results_asked_is_refused(collection: Collection, k: int) -> None:
    with pytest.raises(QueryError, match=rf"^k must be at least 1, got {k}$"):
        collection.search("cells", k)


@pytest.mark.parametrize("mode", [SearchMode.DENSE, SearchMode.HYBRID])
def test_a_mode_that_needs_vectors_is_refused_without_them(tmp_path: Path, docs: Path, mode: SearchMode) -> None:
    plain = Collection.open_or_create(tmp_path / "plain", "none")
    plain.add([docs])
    assert plain.default_mode() is SearchMode.LEXICAL
    assert plain.search("cells").hits
    with pytest.raises(EncoderError, match="was indexed without vectors") as caught:
        plain.search("cells", mode=mode)
    assert "--mode lexical" in caught.value.hint
    assert not list((tmp_path / "plain").glob("dense.*"))
    plain.close()


def test_documents_rank_by_their_best_three_chunks() -> None:
    def hit(document_id: int, chunk_id: int, score: float) -> Hit:
        document = Document(document_id, "p", "n", "t", "text", "", 1, 0)
        return Hit(Chunk(chunk_id, document_id, 0, 0, 1, "x", "", ""), document, score)

    # 1: 0.8 + 0.5/2 + 0.4/4 = 1.15, its fourth not counted;  2: 1.0;  3: 0.75 + 0.5/2 = 1.0, after 2 in the hits
    hits = [
        hit(2, 1, 1.0),
        hit(1, 2, 0.8),
        hit(3, 3, 0.75),
        hit(1, 4, 0.5),
        hit(3, 5, 0.5),
        hit(1, 6, 0.4),
        hit(1, 7, 0.3),
    ]
    ranked = rank_documents(hits)
    assert [(item.document.id, item.score) for item in ranked] == [(1, pytest.approx(1.15)), (2, 1.0), (3, 1.0)]
    assert [item.chunk.id for item in ranked[0].hits] == [2, 4, 6, 7]
    assert rank_documents([]) == ()


# Index files are caches


def _dense_file(collection: Collection) -> Path:
    (path,) = collection.folder.glob("dense.*")
    return path


def _reopened(collection: Collection) -> Collection:
    return Collection.open(collection.folder)


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "foreign"])
def test_a_damaged_dense_index_is_rebuilt(collection: Collection, docs: Path, damage: str) -> None:
    path, expected = _dense_file(collection), collection.search("cells", mode=SearchMode.DENSE)
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "foreign": b"words" * 500}[damage])
    again = _reopened(collection)
    assert again.search("cells", mode=SearchMode.DENSE) == expected
    again.add([docs])
    assert path.read_bytes() == whole
    again.close()


def test_an_index_of_other_vectors_is_not_believed(collection: Collection) -> None:
    from indexes.dense import DenseIndex

    expected = collection.search("cells", mode=SearchMode.DENSE)
    for shape in ((3, 5), (2, HashEncoder.dimension)):
        DenseIndex.build(range(shape[0]), np.ones(shape, dtype=np.float32)).write(_dense_file(collection))
        again = _reopened(collection)
        assert again.search("cells", mode=SearchMode.DENSE) == expected
        again.close()


def test_one_index_file_is_kept_and_carries_the_generation(collection: Collection, docs: Path) -> None:
    write(docs, {"new.md": "Another word."})
    collection.add([docs])
    assert _dense_file(collection).name == f"dense.{collection.stats().generation}.faiss"


# Two processes


_HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_writer_is_refused_until_the_first_is_gone(collection: Collection, docs: Path) -> None:
    lock = str(collection.folder / "write.lock")
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CollectionBusyError, match="another process is writing to ") as caught:
            collection.add([docs])
        assert caught.value.hint == "wait until it is done, then run this again"
        assert collection.search("cells").hits  # readers go on
        holder.kill()
        holder.wait()
    assert sorted(collection.add([docs]).unchanged) == sorted(FILES)


def test_a_search_sees_what_another_connection_has_written(collection: Collection, docs: Path) -> None:
    assert not collection.search("zeppelin", mode=SearchMode.LEXICAL).hits
    other = _reopened(collection)
    (docs / "cells.md").unlink()
    write(docs, {"zeppelin.md": "A zeppelin came by."})
    other.add([docs])
    other.close()
    for mode in SearchMode:
        names = [hit.document.name for hit in collection.search("zeppelin", mode=mode).hits]
        assert names[0] == "zeppelin.md"
        assert "cells.md" not in names


class _Interrupting(HashEncoder):
    """Runs something while a query is encoded, between the lexical and the dense search."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        self._meanwhile()
        return super().encode(texts, progress)


def test_a_search_sees_one_state_while_the_collection_changes(collection: Collection, docs: Path) -> None:
    expected = collection.search("cells")
    calls: list[int] = []

    def rewrite() -> None:
        calls.append(1)
        if len(calls) == 1:
            (docs / "cells.md").unlink()
            write(docs, {"cells2.md": "Cells, cells and more cells."})
            other = Collection.open(collection.folder)
            other.add([docs])
            other.close()

    reading = Collection.open(collection.folder, lambda _: _Interrupting(rewrite))
    assert reading.search("cells") == expected
    assert {hit.document.name for hit in reading.search("cells").hits} == {"board.md", "cells2.md", "fire.md"}
    reading.close()


def test_a_damaged_database_says_so_in_every_call(collection: Collection, docs: Path) -> None:
    folder = collection.folder
    collection.close()
    data = bytearray((folder / DATABASE).read_bytes())
    store = Store.open(folder)
    roots = dict(store._db.rows("SELECT name, rootpage FROM sqlite_master"))
    store.close()
    for table in ("documents", "files", "chunks"):
        start = (roots[table] - 1) * 4096
        data[start : start + 4096] = bytes([0xAA]) * 4096
    (folder / DATABASE).write_bytes(data)
    broken = Collection.open(folder)
    calls: list[Callable[[], object]] = [
        lambda: broken.add([docs]),
        lambda: broken.search("cells"),
        broken.stats,
        broken.files,
        broken.documents,
    ]
    for call in calls:
        with pytest.raises(CollectionBrokenError, match="is damaged: ") as caught:
            call()
        assert "run `fathom index` again" in caught.value.hint
    broken.close()


def test_a_place_has_the_section_and_the_pages_of_its_own_characters(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n\n## First\n\n" + "Alpha beta. " * 60 + "\n\n## Second\n\nGamma delta.\n")
    collection = Collection.open_or_create(tmp_path / ".fathom", "none")
    collection.add([tmp_path])
    (document,) = collection.documents()
    text = collection.text(document.id)
    start = text.index("Gamma")
    place = collection.place(document.id, start, start + 5)
    assert (place.section, place.first_page, place.last_page) == ("Second", None, None)
    assert collection.place(document.id, text.index("Alpha"), text.index("Alpha") + 5).section == "First"
    collection.close()


def test_a_place_in_a_pdf_names_only_the_pages_it_touches(tmp_path: Path) -> None:
    report = Path(__file__).parents[2] / "examples" / "dealroom" / "marrowbay" / "safety-and-technical-review.pdf"
    collection = Collection.open_or_create(tmp_path / ".fathom", "none")
    collection.add([report])
    (document,) = collection.documents()
    pages, _ = collection.structure(document.id)
    for page in pages:
        middle = (page.start + page.end) // 2
        place = collection.place(document.id, middle, middle + 3)
        assert (place.first_page, place.last_page) == (page.number, page.number)
    first, second = pages[0], pages[1]
    across = collection.place(document.id, first.end - 1, second.start + 1)
    assert (across.first_page, across.last_page) == (1, 2)
    collection.close()

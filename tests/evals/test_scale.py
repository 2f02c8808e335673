"""The scale benchmark end to end at a small size, its vectors, its exact search, and what it keeps and draws."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.bench.scale.__main__ import ScaleSettings, main, measure_size, panels, table
from evals.bench.scale.build import KnownVectors, PhaseClock, build_collection, sizes, write_questions
from evals.bench.scale.likeness import nearest, spread
from evals.bench.scale.search import dense_recall, exact_nearest, questions, search_times
from evals.bench.scale.steps import peak_mib, run_step
from evals.bench.scale.vectors import DIMENSION, chunk_vectors, query_vectors
from evals.datasets.generated import BLOCK_DOCUMENTS, DOCUMENT_CHUNKS, block, queries
from indexes.collection import Collection
from indexes.storage.store import Store
from pipeline.charts import Panel, plot, short

CHUNKS = 2 * DOCUMENT_CHUNKS


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The key of the collections that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("FATHOM_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def same_home(home: Path, fresh_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_HOME", str(home))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    folder = tmp_path_factory.mktemp("scale")
    write_questions(folder, CHUNKS, 5, 0)
    build_collection(folder, 0, CHUNKS, 0)
    return folder


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, home: Path) -> dict[str, Any]:
    scratch = tmp_path_factory.mktemp("scratch")
    kept: list[str] = []
    settings = ScaleSettings(queries=5, rounds=1, added=DOCUMENT_CHUNKS)
    measure_size(CHUNKS, settings, scratch, lambda figures: kept.append(json.dumps(figures)))
    assert not list(scratch.iterdir())
    assert len(kept) == 8  # after each step
    found: dict[str, Any] = json.loads(kept[-1])
    return found


def test_vectors_have_length_one_and_are_the_same_in_every_run() -> None:
    vectors = chunk_vectors(block(0))
    assert vectors.shape == (BLOCK_DOCUMENTS * DOCUMENT_CHUNKS, DIMENSION)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(chunk_vectors(block(0)), vectors)


def test_a_chunk_is_nearer_to_its_document_than_to_others() -> None:
    vectors = chunk_vectors(block(0))
    cosines = vectors[:DOCUMENT_CHUNKS] @ vectors.T
    assert np.median(cosines[:, :DOCUMENT_CHUNKS]) > np.median(cosines[:, DOCUMENT_CHUNKS:]) + 0.2


def test_the_nearest_chunk_of_a_question_is_mostly_the_one_that_it_is_about() -> None:
    asked = queries(20, BLOCK_DOCUMENTS)
    best = (query_vectors(asked) @ chunk_vectors(block(0)).T).argmax(axis=1)
    assert np.mean(best == [query.chunk for query in asked]) > 0.8


def test_neighbours_cosines_and_spread_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    # cosines: 0 and 0.6; 0 and 0.8; 0.6 and 0.8: the nearest are 0.6, 0.8, 0.8, the second 0, 0, 0.6
    assert nearest(vectors, vectors, (1, 2, 100), itself=True) == {1: 0.8, 2: 0.0}
    assert nearest(vectors[:1], vectors, (1,)) == {1: 1.0}
    assert spread(np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])) == pytest.approx(2)  # the same variance in both
    assert spread(np.array([[1, 1], [2, 2], [3, 3]])) == pytest.approx(1)


def test_exact_search_is_numpys_over_all_vectors(built: Path) -> None:
    asked = questions(built)
    store = Store.open(built / ".fathom")
    found = exact_nearest(store, asked.encode(asked.texts), 10)
    store.close()
    vectors = chunk_vectors(block(0))[:CHUNKS].astype(np.float16).astype(np.float32)
    cosines = asked.encode(asked.texts) @ vectors.T
    assert found.tolist() == (np.argsort(-cosines, axis=1, kind="stable")[:, :10] + 1).tolist()


def test_a_small_collection_is_searched_exactly(built: Path) -> None:
    recall = dense_recall(built)
    assert (recall["recall_at_10"], recall["recall_at_100"], recall["n"]) == (1.0, 1.0, 5)
    assert recall["search"] == ["exact"]


def test_searches_are_timed_by_mode(built: Path) -> None:
    times = search_times(built, ["lexical", "hybrid"], rounds=2)
    assert {mode: figures["n"] for mode, figures in times.items()} == {"lexical": 10, "hybrid": 10}
    assert all(0 < figures["p50_ms"] <= figures["p99_ms"] for figures in times.values())


def test_the_chunk_that_a_question_is_about_is_found(built: Path) -> None:
    asked = questions(built)
    collection = Collection.open(built / ".fathom", lambda _: asked)
    hits = collection.search(asked.texts[0]).hits
    collection.close()
    wanted = queries(5, CHUNKS // DOCUMENT_CHUNKS)[0].chunk
    assert wanted in [(hit.chunk.document_id - 1) * DOCUMENT_CHUNKS + hit.chunk.ordinal for hit in hits]


def test_an_encoder_of_known_vectors_refuses_texts_that_it_was_not_told() -> None:
    encoder = KnownVectors()
    encoder.expect(["one"], np.ones((1, DIMENSION), dtype=np.float32))
    assert encoder.encode(["title\none\n\n"]).shape == (1, DIMENSION)
    with pytest.raises(KeyError, match="two"):
        encoder.encode(["title\ntwo"])


def test_a_clock_adds_up_by_phase() -> None:
    clock = PhaseClock()
    for _ in range(2):
        with clock("a"):
            pass
    first = clock.seconds["a"]
    with clock("b"):
        pass
    assert clock.seconds.keys() == clock.cpu_seconds.keys() == {"a", "b"}
    assert clock.seconds["a"] == first


def test_sizes_are_told_apart_by_part(tmp_path: Path) -> None:
    segment = tmp_path / "segments" / "1"
    segment.mkdir(parents=True)
    for path, count in ((tmp_path / "x.sqlite", 1), (segment / "rows.npy", 2), (segment / "vectors.faiss", 4)):
        path.write_bytes(bytes(count))
    assert sizes(tmp_path) == {"database": 1, "lexical": 2, "dense": 4}


def test_a_step_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"step recall .*exit code 1\n(.|\n)*questions\.json"):
        run_step("recall", folder=tmp_path)


def test_peak_memory_is_at_least_what_was_allocated() -> None:
    block_of_bytes = np.ones(300 * 2**20, dtype=np.uint8)
    assert peak_mib() >= len(block_of_bytes) / 2**20


def test_every_step_of_a_size_is_measured(measured: dict[str, Any]) -> None:
    assert "failed" not in measured
    assert measured["build"]["chunks"] == CHUNKS
    assert measured["add"]["chunks"] == DOCUMENT_CHUNKS
    assert set(measured["build"]["bytes"]) == {"database", "lexical", "dense"}
    assert all(size > 0 for size in measured["build"]["bytes"].values())
    assert measured["search"]["hybrid"]["n"] == 5
    contenders = measured["lexical"]["contenders"]
    assert contenders.keys() == {"ours", "rank-bm25", "bm25s", "bm25s, numba", "tantivy"}
    assert contenders["ours"]["agreement_at_10"] == 1.0
    assert contenders["bm25s"]["agreement_at_10"] == 1.0


def test_figures_are_told_in_lines_and_drawn(measured: dict[str, Any]) -> None:
    lines = table([measured]).splitlines()
    assert lines[0] == "80 chunks"
    assert any(line.strip().startswith("search, hybrid") for line in lines)
    assert any(line.strip().startswith("tantivy") for line in lines)
    assert all(panel.lines for panel in panels([measured]))


def test_a_step_that_fails_ends_its_size_and_keeps_what_was_measured(tmp_path: Path) -> None:
    kept: list[dict[str, Any]] = []
    settings = ScaleSettings(queries=2, rounds=1, seed=-1, contenders=False)  # no seed is below 0
    measure_size(CHUNKS, settings, tmp_path, lambda figures: kept.append(dict(figures)))
    assert len(kept) == 1
    assert kept[0]["failed"].startswith("build: ")
    assert "failed: build" in table(kept)
    assert panels(kept)


def test_a_resumed_run_leaves_out_sizes_that_are_whole(
    measured: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scale.json").write_text(json.dumps({"sizes": [measured]}), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["scale", "--chunks", str(CHUNKS), "--out", str(tmp_path), "--resume", "--json"])
    main()
    assert json.loads(capsys.readouterr().out) == {"sizes": [measured]}


def test_a_size_that_is_no_number_of_documents_is_a_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", "--chunks", "1001"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "multiple of 40" in capsys.readouterr().err


def test_a_plot_is_one_picture_with_every_line_and_point() -> None:
    points = [(10_000.0, 1.0), (100_000.0, 10.0), (1_000_000.0, 0.0)]  # 0 has no place on a logarithmic scale
    drawn = plot("A & B", "note", [Panel("P", {"one": points, "two": points[:2]}, goal=5), Panel("empty", {"x": []})])
    picture = ElementTree.fromstring(drawn)
    name = "{http://www.w3.org/2000/svg}"
    assert len(list(picture.iter(f"{name}circle"))) == 4
    texts = [element.text for element in picture.iter(f"{name}text")]
    assert {"A & B", "P", "one", "two", "note", "10k", "100k"} <= set(texts)
    assert "empty" not in texts


def test_points_stand_where_the_scale_says() -> None:
    drawn = plot("", "", [Panel("P", {"x": [(10.0, 1.0), (100.0, 10.0), (1_000.0, 100.0)]})])
    picture = ElementTree.fromstring(drawn)
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    x, y = ([float(circle.get(of, "")) for circle in circles] for of in ("cx", "cy"))
    assert x[1] == pytest.approx((x[0] + x[2]) / 2, abs=0.11)  # equal factors, equal steps
    assert y[1] == pytest.approx((y[0] + y[2]) / 2, abs=0.11)
    assert y[0] > y[1] > y[2]


def test_numbers_are_shortened() -> None:
    assert [short(n) for n in (0.5, 20, 1_000, 250_000, 1_000_000, 2.5e9)] == ["0.5", "20", "1k", "250k", "1M", "2.5G"]

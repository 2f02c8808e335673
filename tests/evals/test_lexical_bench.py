"""The lexical contenders: the same terms in, and how far each one's results are those of exact BM25."""

import math
from pathlib import Path

import numpy as np
import pytest

from evals.bench.lexical import CONTENDERS, TermChunks, agreement, described, exact, written_bytes

WORDS = ["ash", "birch", "cedar", "elm", "fir"]


def _chunks(texts: list[str]) -> TermChunks:
    tokens = [text.split() for text in texts]
    words = sorted({word for some in tokens for word in some})
    ids = [words.index(word) for some in tokens for word in some]
    return TermChunks(np.array(ids, dtype=np.int32), np.cumsum([len(some) for some in tokens]), words)


@pytest.fixture
def many() -> TermChunks:
    """600 chunks of 30 words of 80, frequent and rare ones."""
    rng = np.random.default_rng(0)
    ids = (80 ** rng.random(600 * 30)).astype(np.int32) - 1
    return TermChunks(ids, np.arange(30, 600 * 30 + 1, 30), [f"word{i}" for i in range(80)])


def test_terms_come_back_from_their_files_chunk_by_chunk(tmp_path: Path) -> None:
    chunks = _chunks(["ash elm ash", "", "elm fir"])
    chunks.write(tmp_path)
    again = TermChunks.read(tmp_path)
    assert list(again.terms()) == [["ash", "elm", "ash"], [], ["elm", "fir"]]
    assert len(again) == 3


def test_exact_scores_are_those_of_the_formula() -> None:
    chunks = _chunks(["ash ash elm", "elm fir fir fir fir"])
    scores = next(iter(exact(chunks, [["ash", "elm", "oak"]])))
    # mean length 4; both chunks hold elm: idf ln(1 + 0.5/2.5); one holds ash: ln(1 + 1.5/1.5)
    # first chunk, length 3: k1·(1 − b + b·3/4) = 1.21875; ash twice: 2·2.5/(2 + 1.21875), elm once: 2.5/2.21875
    first = math.log(2) * 5 / 3.21875 + math.log(1.2) * 2.5 / 2.21875
    # second, length 5: 1.5·(0.25 + 0.9375) = 1.78125; elm once: 2.5/2.78125
    assert scores == pytest.approx([first, math.log(1.2) * 2.5 / 2.78125])


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_finds_the_chunk_that_holds_both_terms(name: str, tmp_path: Path) -> None:
    texts = [f"{WORDS[i % 5]} {WORDS[(i * 2 + 1) % 5]} filler{i}" for i in range(20)]
    chunks = _chunks([*texts, "unusual pair"])
    chunks.write(tmp_path)
    place = tmp_path / "index"
    place.mkdir()
    CONTENDERS[name]().build(chunks, place)
    contender = CONTENDERS[name]()
    contender.load(place)
    assert contender.search(["unusual", "pair"], 5) == [20]
    assert contender.search(["never", "seen"], 5) == []
    assert len(contender.search(["ash", "birch"], 3)) == 3


@pytest.mark.parametrize("name", ["ours", "bm25s", "bm25s, numba"])
def test_contenders_with_the_same_formula_agree_with_exact_scores(name: str, many: TermChunks, tmp_path: Path) -> None:
    contender, asked = CONTENDERS[name](), [["word1", "word40", "word79"], ["word0", "word7"], ["word60"]]
    contender.build(many, tmp_path)
    contender.load(tmp_path)
    shares = [agreement(contender.search(terms, 10), s) for terms, s in zip(asked, exact(many, asked), strict=True)]
    assert shares == [1.0, 1.0, 1.0]


def test_agreement_counts_the_exact_best_and_takes_equal_scores_for_each_other() -> None:
    scores = np.array([3.0, 2.0, 1.0, 1.0, 0.5])
    assert agreement([0, 1, 3], scores, k=3) == 1.0  # chunk 3 scores what chunk 2 does
    assert agreement([0, 4, 1], scores, k=3) == pytest.approx(2 / 3)
    assert agreement([0], scores[:1], k=10) == 1.0
    assert agreement([], scores, k=3) == 0.0
    assert math.isnan(agreement([], np.zeros(3)))


def test_times_are_described_by_percentiles() -> None:
    assert described([float(i) for i in range(1, 102)]) == {"p50_ms": 51.0, "p90_ms": 91.0, "p99_ms": 100.0, "n": 101}


def test_written_bytes_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"678")
    assert written_bytes(tmp_path) == 8

"""The generated language: its laws, that it is the same in every run, and that a paragraph is a chunk."""

from itertools import islice

import numpy as np
import pytest

from evals.datasets.generated import (
    BLOCK_DOCUMENTS,
    DOCUMENT_CHUNKS,
    Block,
    GeneratedDocument,
    block,
    blocks,
    documents,
    frequencies,
    language,
    queries,
)
from evals.datasets.generated_words import FUNCTION_WORDS, made_up_words, numbers
from indexes.text.chunking import chunk
from indexes.text.tokens import terms


@pytest.fixture(scope="module")
def some() -> list[Block]:
    return [block(number) for number in range(4)]


@pytest.fixture(scope="module")
def first(some: list[Block]) -> list[GeneratedDocument]:
    return list(documents(some[0]))


def test_words_are_all_different_and_frequent_ones_are_shorter() -> None:
    words = made_up_words(60_000, np.random.default_rng(0))
    assert len(set(words)) == 60_000
    assert not set(words) & set(FUNCTION_WORDS)
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    mean = [np.mean([len(word) for word in words[low:high]]) for low, high in ((0, 1000), (1000, 40_000), (40_000, -1))]
    assert mean[0] < mean[1] < mean[2]


def test_numbers_are_written_as_texts_write_them() -> None:
    assert numbers(5) == ["1", "2", "3", "0.4%", "5"]
    assert numbers(1_240)[1_239] == "1,240"


def test_frequencies_fall_as_one_over_the_rank_and_then_steeper() -> None:
    shares = frequencies(50_000)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) < 0).all()
    # 1/(r + 1.2): rank 1,000 is (100 + 1.2)/(1,000 + 1.2) as frequent as rank 100
    assert shares[999] / shares[99] == pytest.approx(101.2 / 1001.2)
    # r^-1.8 beyond rank 5,000: twice the rank, 2^-1.8 of the frequency
    assert shares[19_999] / shares[9_999] == pytest.approx(2**-1.8)


def test_the_rank_frequency_slope_is_that_of_zipf_and_then_steeper(some: list[Block]) -> None:
    held = np.sort(np.unique(np.concatenate([item.ids for item in some]), return_counts=True)[1])[::-1]
    ranks = np.log(np.arange(1, len(held) + 1))
    head = np.polyfit(ranks[10:2_000], np.log(held[10:2_000]), 1)[0]
    tail = np.polyfit(ranks[4_000:15_000], np.log(held[4_000:15_000]), 1)[0]
    assert -1.1 < head < -0.85
    assert tail < head - 0.3


def test_the_vocabulary_grows_by_heaps_law(some: list[Block]) -> None:
    ids = np.concatenate([item.ids for item in some])
    sizes = (10_000, 40_000, 160_000, 600_000)
    held = [len(np.unique(ids[:size])) for size in sizes]
    exponent = np.polyfit(np.log(sizes), np.log(held), 1)[0]
    assert 0.45 < exponent < 0.75  # of English text it is reported between 0.4 and 0.7
    assert (np.diff(held) > 0).all()


def test_topics_have_frequent_words_of_their_own(some: list[Block]) -> None:
    """A document shares more of its content words with itself than with another one."""
    held = [set(some[0].chunk(number).tolist()) for number in range(3 * DOCUMENT_CHUNKS)]
    held = [{word for word in ids if word >= 2_000} for ids in held]
    within = np.mean([len(held[i] & held[i + 1]) for i in range(0, DOCUMENT_CHUNKS - 1, 2)])
    across = np.mean([len(held[i] & held[i + 2 * DOCUMENT_CHUNKS]) for i in range(DOCUMENT_CHUNKS)])
    assert within > 3 * across


def test_a_block_does_not_depend_on_how_many_are_asked_for(some: list[Block]) -> None:
    again = list(blocks(2 * BLOCK_DOCUMENTS + 1))
    assert len(again) == 3
    assert [item.ids.tobytes() for item in again] == [item.ids.tobytes() for item in some[:3]]
    assert next(blocks(100, first=BLOCK_DOCUMENTS)).ids.tobytes() == some[1].ids.tobytes()


def test_documents_are_the_same_in_every_run_and_different_from_each_other(
    some: list[Block], first: list[GeneratedDocument]
) -> None:
    assert list(documents(block(0))) == first
    everywhere = [*first, *documents(some[1])]
    assert [document.number for document in everywhere] == list(range(2 * BLOCK_DOCUMENTS))
    for of in ("name", "sha256"):
        assert len({getattr(document, of) for document in everywhere}) == len(everywhere)


def test_another_seed_is_another_language(some: list[Block]) -> None:
    try:
        assert block(0, seed=1).ids.tobytes() != some[0].ids.tobytes()
    finally:
        language(0)  # one language is kept, and the others use this one


def test_every_paragraph_is_one_chunk_of_about_150_words(first: list[GeneratedDocument]) -> None:
    for document in first:
        loaded = document.loaded()
        spans = chunk(loaded)
        assert [loaded.text[span.start : span.end].strip() for span in spans] == list(document.paragraphs)
        assert len(spans) == DOCUMENT_CHUNKS
    lengths = [len(paragraph) for document in first for paragraph in document.paragraphs]
    assert 850 < np.mean(lengths) < 950
    assert 140 < np.mean([len(paragraph.split()) for paragraph in first[0].paragraphs]) < 160


def test_stop_words_are_as_frequent_as_in_english(first: list[GeneratedDocument]) -> None:
    words = " ".join(first[0].paragraphs).split()
    assert 0.25 < 1 - len(terms(" ".join(words))) / len(words) < 0.5


def test_questions_are_of_4_to_12_words_and_share_some_with_their_chunk() -> None:
    asked = queries(20, 2 * BLOCK_DOCUMENTS)
    assert [query.text for query in queries(20, 2 * BLOCK_DOCUMENTS)] == [query.text for query in asked]
    for query in asked:
        assert 4 <= len(query.text.split()) <= 12
        shared = {i for i in query.ids.tolist() if i >= len(FUNCTION_WORDS)} & set(
            query.block.chunk(query.chunk).tolist()
        )
        assert len(shared) >= 2
    sources = {query.block.first_document for query in islice(asked, 20)}
    assert sources == {0, BLOCK_DOCUMENTS}

"""Readings: what fits is taken in document order, what does not is named, and no prompt exceeds its budget."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base import Message
from indexes.documents import Chunk, Document, Heading, Hit, Page
from pipeline.qa.packing import (
    Order,
    Passage,
    Reading,
    header,
    in_order,
    merge,
    prefix_that_fits,
    read_chunks,
    read_documents,
    section_passage,
    whole_tokens,
)
from pipeline.qa.prompts import answer_messages
from tests.support.records import count_prompt, count_text, document, hit, passage

QUESTION = "What does the board say?"
OVERHEAD = count_prompt(answer_messages([], QUESTION))


@dataclass(frozen=True)
class Corpus:
    """Texts of documents by id, and some of their chunks as hits, best first."""

    texts: dict[int, str]
    hits: list[Hit]


_WORDS = st.lists(st.sampled_from("ant bee cow dog. Eel, fox!".split()), min_size=1, max_size=12)
_CHUNKS = st.lists(st.tuples(_WORDS, st.sampled_from([" ", "\n", "\n\n"])), min_size=1, max_size=6)


def _whole(words: Sequence[tuple[Sequence[str], str]]) -> list[str]:
    return [" ".join(part) + end for part, end in words]


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    texts: dict[int, str] = {}
    hits: list[Hit] = []
    for id, chunks in enumerate(draw(st.lists(_CHUNKS, min_size=1, max_size=3)), 1):
        parts = _whole(chunks)
        texts[id] = "".join(parts)
        of, start = document(id, text=texts[id]), 0
        for number, part in enumerate(parts):
            hits.append(hit(of, id * 100 + number, start, part, 0.0, section=f"§{number}"))
            start += len(part)
    chosen = draw(st.permutations(hits))[: draw(st.integers(0, len(hits)))]
    ranked = [
        hit(h.document, h.chunk.id, h.chunk.start, h.chunk.text, 1 / (rank + 1), h.chunk.section)
        for rank, h in enumerate(chosen)
    ]
    return Corpus(texts, ranked)


def _covered(reading: Reading, hits: Sequence[Hit]) -> list[Hit]:
    return [
        h
        for h in hits
        if any(
            p.document.id == h.document.id and p.start <= h.chunk.start and h.chunk.end <= p.end
            for p in reading.passages
        )
    ]


@given(corpora(), st.integers(0, 120), st.integers(0, 9))
def test_a_packed_prompt_keeps_its_budget_and_accounts_for_every_hit(corpus: Corpus, room: int, seam: int) -> None:
    """`seam`: tokens that a tokenizer makes of a whole prompt beyond the sum of its parts."""

    def counted(messages: Sequence[Message]) -> int:
        return count_prompt(messages) + seam * messages[-1].content.count("\n\n")

    budget = counted(answer_messages([], QUESTION)) + room
    reading = read_chunks(corpus.hits, QUESTION, budget, count_text, counted)
    messages = answer_messages([passage.prompt() for passage in reading.passages], QUESTION)
    assert reading.prompt_tokens == counted(messages) <= budget
    for id, text in corpus.texts.items():
        own = [passage for passage in reading.passages if passage.document.id == id]
        assert all(passage.text == text[passage.start : passage.end] for passage in own)
        assert all(a.end < b.start for a, b in pairwise(own))  # in order, neighbours joined
    taken = _covered(reading, corpus.hits)
    assert len(taken) + len(reading.left_out) == len(corpus.hits)
    names = sorted(f"{h.document.name} › {h.chunk.section}" for h in corpus.hits if h not in taken)
    assert sorted(name.partition(":")[0] for name in reading.left_out) == names


@given(corpora(), st.integers(0, 200), st.integers(0, 9))
def test_widened_chunks_keep_the_budget_hold_what_they_held_and_overlap_nowhere(
    corpus: Corpus, room: int, seam: int
) -> None:
    def counted(messages: Sequence[Message]) -> int:
        return count_prompt(messages) + seam * messages[-1].content.count("\n\n")

    def section_of(passage: Passage) -> Passage:
        text = corpus.texts[passage.document.id]
        middle = len(text) // 2  # two sections a document, cut where a chunk may lie across
        start, end = (0, middle) if passage.end <= middle else (middle, len(text))
        if not start <= passage.start <= passage.end <= end:
            start, end = 0, len(text)
        return replace(passage, start=start, end=end, text=text[start:end])

    budget = counted(answer_messages([], QUESTION)) + room
    narrow = read_chunks(corpus.hits, QUESTION, budget, count_text, counted)
    wide = read_chunks(corpus.hits, QUESTION, budget, count_text, counted, section_of)
    messages = answer_messages([item.prompt() for item in wide.passages], QUESTION)
    assert wide.prompt_tokens == counted(messages) <= budget
    held = {h.chunk.id for h in _covered(narrow, corpus.hits)}
    assert held <= {h.chunk.id for h in _covered(wide, corpus.hits)} or seam
    for id, text in corpus.texts.items():
        own = sorted((p.start, p.end, p.text) for p in wide.passages if p.document.id == id)
        assert all(part == text[start:end] for start, end, part in own)


def test_room_that_is_left_widens_the_best_chunk_to_its_section() -> None:
    of = document(text="one two. three four. five six. seven eight. ")
    parts = ["one two. ", "three four. ", "five six. ", "seven eight. "]
    starts = [0, 9, 21, 31]
    chunks = [
        Chunk(i, of.id, i, starts[i], starts[i] + len(parts[i]), parts[i], "Fees" if i < 3 else "Term", "", None, None)
        for i in range(4)
    ]
    hits = [hit(of, 1, starts[1], parts[1], 1.0, "Fees"), hit(of, 3, starts[3], parts[3], 0.5, "Term")]

    def read(room: int) -> list[str]:
        found = read_chunks(
            hits,
            QUESTION,
            OVERHEAD + room,
            count_text,
            count_prompt,
            lambda of: section_passage(of, [chunk for chunk in chunks if chunk.section == of.section]),
        )
        assert found.left_out == ()
        return [item.text for item in found.passages]

    enough = next(
        room
        for room in range(200)
        if read_chunks(hits, QUESTION, OVERHEAD + room, count_text, count_prompt).left_out == ()
    )
    assert read(enough) == ["three four. ", "seven eight. "]
    assert read(enough + 5) == ["three four. ", "seven eight. "]  # the section is six tokens longer
    assert read(enough + 6) == ["one two. three four. five six. seven eight. "]  # whole, and joined with the next


def test_chunks_with_the_same_words_are_read_once() -> None:
    first, second = (
        hit(document(1), 1, 0, "The fee is\n2 percent.", 1.0, "Fees"),
        hit(document(2), 2, 5, "The fee is 2 percent. ", 0.5, "Costs"),
    )
    reading = read_chunks([first, second], QUESTION, OVERHEAD + 100, count_text, count_prompt)
    assert [item.document.id for item in reading.passages] == [1]
    assert reading.left_out == ("d2.md › Costs: the words of d1.md › Fees",)


def test_a_passage_without_a_section_is_not_widened() -> None:
    assert section_passage(Passage(document(), 10, 20, "x" * 10, "", "", None, None, 1.0), []) is None


def test_a_section_has_the_pages_of_its_chunks() -> None:
    chunks = [Chunk(n, 1, n, 10 * n, 10 * n + 10, str(n) * 10, "Fees", "", n, n + 1) for n in (1, 2, 3)]
    wide = section_passage(Passage(document(), 20, 30, "2" * 10, "Fees", "", 2, 3, 0.5), chunks)
    assert wide is not None
    assert (wide.start, wide.end, wide.text) == (10, 40, "1" * 10 + "2" * 10 + "3" * 10)
    assert (wide.first_page, wide.last_page, wide.score) == (1, 4, 0.5)


@given(_CHUNKS)
def test_merged_neighbours_rebuild_the_text_of_their_document(chunks: list[tuple[list[str], str]]) -> None:
    parts = _whole(chunks)
    text = "".join(parts)
    of, passages, start = document(text=text), [], 0
    for number, part in enumerate(parts):
        passages.append(Passage(of, start, start + len(part), part, "", "", number + 1, number + 1, float(number)))
        start += len(part)
    (whole,) = merge(passages)
    assert (whole.start, whole.end, whole.text) == (0, len(text), text)
    assert (whole.first_page, whole.last_page, whole.score) == (1, len(parts), float(len(parts) - 1))


def test_passages_with_a_gap_or_of_two_documents_stay_apart() -> None:
    a, b = document(1), document(2)
    parts = [
        Passage(a, 0, 3, "abc", "", "", None, None, 1.0),
        Passage(a, 4, 6, "ef", "", "", None, None, 1.0),
        Passage(b, 6, 8, "gh", "", "", None, None, 1.0),
    ]
    assert merge(parts) == parts


def test_a_shorter_passage_is_taken_where_a_better_one_does_not_fit() -> None:
    of = document()
    long, short = hit(of, 1, 0, "ant " * 50, 1.0, "Long"), hit(of, 2, 500, "bee", 0.5, "Short")
    reading = read_chunks([long, short], QUESTION, OVERHEAD + 20, count_text, count_prompt)
    assert [passage.text for passage in reading.passages] == ["bee"]
    assert reading.left_out == ("d1.md › Long",)


@pytest.mark.parametrize(
    ("section", "page", "expected"),
    [("Fees", 3, "d1.md › Fees"), ("", 3, "d1.md › page 3"), ("", None, "d1.md › character 1,200")],
)
def test_what_is_left_out_is_named_by_the_best_place_known(section: str, page: int | None, expected: str) -> None:
    only = hit(document(), 1, 1200, "ant " * 50, 1.0, section, page)
    assert read_chunks([only], QUESTION, OVERHEAD, count_text, count_prompt).left_out == (expected,)


def test_documents_are_read_whole() -> None:
    texts = {2: "two\n", 1: "one\n"}
    reading = read_documents([(document(id), text, []) for id, text in texts.items()], QUESTION, 1000, count_prompt)
    assert {(p.document.id, p.start, p.end, p.text) for p in reading.passages} == {
        (2, 0, 4, "two\n"),
        (1, 0, 4, "one\n"),
    }
    assert reading.left_out == ()


@given(st.lists(st.integers(1, 40), max_size=5), st.integers(0, 150))
def test_of_whole_documents_the_last_given_stay_out(sizes: list[int], room: int) -> None:
    documents: list[tuple[Document, str, list[Page]]] = [
        (document(id), "ant " * size, []) for id, size in enumerate(sizes, 1)
    ]
    reading = read_documents(documents, QUESTION, OVERHEAD + room, count_prompt)
    messages = answer_messages([passage.prompt() for passage in reading.passages], QUESTION)
    assert reading.prompt_tokens == count_prompt(messages) <= OVERHEAD + room
    taken = len(reading.passages)
    assert {passage.document.id for passage in reading.passages} == set(range(1, taken + 1))
    assert list(reading.left_out) == [of.name for of, _, _ in documents[taken:]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 30))
def test_documents_that_were_counted_to_fit_are_all_read(sizes: list[int], page_count: int) -> None:
    """What the router adds up is never less than what the reading then needs, page numbers included."""
    documents = []
    for id, size in enumerate(sizes, 1):
        pages = [Page(number, 0, 1) for number in range(1, page_count + 1)]
        documents.append((document(id, pages=page_count), "ant " * size, pages))
    counted = sum(
        whole_tokens(of, text, pages, number, count_text) for number, (of, text, pages) in enumerate(documents, 1)
    )
    assert read_documents(documents, QUESTION, OVERHEAD + counted, count_prompt).left_out == ()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(None, None, "Memo"), (3, 3, "Memo, page 3"), (3, None, "Memo, page 3"), (3, 5, "Memo, pages 3-5")],
)
def test_a_header_names_its_pages(first: int | None, last: int | None, expected: str) -> None:
    assert header("Memo", first, last) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("document", [1, 2, 3, 4, 5]),
        ("best_first", [3, 1, 5, 2, 4]),
        ("best_last", [4, 2, 5, 1, 3]),
        ("best_at_ends", [3, 5, 4, 2, 1]),  # the best at the beginning, the next at the end, the least in the middle
    ],
)
def test_the_orders_of_whole_documents(order: Order, expected: list[int]) -> None:
    passages = [passage(f"text {id}", of=document(id)) for id in (3, 1, 5, 2, 4)]
    assert [item.document.id for item in in_order(passages, order)] == expected


def test_the_same_documents_begin_two_prompts_alike_whichever_is_the_best() -> None:
    given = [(document(id), f"text {id}", ()) for id in (2, 1)]
    first = read_documents(given, QUESTION, 1000, count_prompt)
    second = read_documents(given[::-1], "And what of the other?", 1000, count_prompt)
    assert [item.text for item in first.passages] == [item.text for item in second.passages]


SECTIONS = "Before. \n# One\naa bb\n# Two\ncc dd ee\n# Three\nff\n"
HEADINGS = [Heading(1, name, SECTIONS.index(f"# {name}")) for name in ("One", "Two", "Three")]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        # "Before." is two tokens, each heading two, the bodies two, three and one
        (5, None),
        (6, ("One", 6)),
        (10, ("One", 6)),
        (11, ("Two", 11)),
        (13, ("Two", 11)),
        (14, ("Three", 14)),
        (99, ("Three", 14)),
    ],
)
def test_the_longest_run_of_sections_that_fits(tokens: int, expected: tuple[str, int] | None) -> None:
    found = prefix_that_fits(SECTIONS, HEADINGS, tokens, count_text)
    assert ((found.title, found.tokens) if found else None) == expected
    if found:
        assert count_text(SECTIONS[: found.end]) == found.tokens


def test_a_text_without_headings_has_no_sections() -> None:
    assert prefix_that_fits("some words", [], 100, count_text) is None

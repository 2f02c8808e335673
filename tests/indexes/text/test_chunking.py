"""Chunks: spans that touch, cover and rebuild the text, stay under the maximum, and know where they stand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.documents import Heading, LoadedDocument, Page, Table
from indexes.loaders.parts import markdown_headings, markdown_tables
from indexes.text.chunking import MAX_COLUMNS_CHARACTERS, MAX_SECTION_CHARACTERS, ChunkSizes, chunk, document_name

SMALL = ChunkSizes(target=90, maximum=120, minimum=30)


def _markdown(text: str, title: str = "T") -> LoadedDocument:
    return LoadedDocument(
        "markdown", title, text, headings=tuple(markdown_headings(text)), tables=tuple(markdown_tables(text))
    )


_WORD = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "So"]), min_size=1, max_size=12)
_SENTENCE = st.lists(_WORD, min_size=1, max_size=25).map(lambda words: " ".join(words) + ". ")
_BLOCK = st.one_of(
    st.lists(_SENTENCE, min_size=1, max_size=6).map("".join),
    st.builds(lambda level, words: "#" * level + " " + " ".join(words), st.integers(1, 6), st.lists(_WORD, max_size=8)),
    st.integers(1, 30).map(lambda rows: "| a | b |\n|---|---|\n" + "| one | two |\n" * rows),
    st.integers(1, 700).map(lambda n: "w" * n),  # a long word
    st.sampled_from(["", "   ", "\t", "---", "***", "\n\n\n", "\x0b", "```\n# code\n```"]),
)
_MARKDOWN = st.lists(st.tuples(_BLOCK, st.sampled_from(["\n\n", "\n", " ", "\n \n", "\n\n\n"]))).map(
    lambda blocks: "".join(block + gap for block, gap in blocks)
)
_SIZES = st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60)).map(
    lambda steps: ChunkSizes(minimum=steps[0], target=steps[0] + steps[1], maximum=sum(steps))
)


@settings(deadline=None)
@given(_MARKDOWN, _SIZES)
def test_spans_touch_rebuild_the_text_and_never_exceed_the_maximum(text: str, sizes: ChunkSizes) -> None:
    spans = chunk(_markdown(text), sizes)
    if not text.strip():
        assert spans == []
        return
    assert "".join(text[span.start : span.end] for span in spans) == text
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == len(text)
    assert all(0 < span.end - span.start <= sizes.maximum for span in spans)


@settings(deadline=None)
@given(_MARKDOWN)
def test_every_span_is_named_by_a_heading_that_begins_before_its_end_and_those_above(text: str) -> None:
    document = _markdown(text)
    paths, stack = {0: ""}, list[Heading]()
    for heading in document.headings:
        stack = [*(above for above in stack if above.level < heading.level), heading]
        paths[heading.start] = " › ".join(item.title[:MAX_SECTION_CHARACTERS] for item in stack if item.title != "T")
    for span in chunk(document, SMALL):
        assert span.section in {"", *(path for start, path in paths.items() if start < span.end)}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_pages_of_a_span_are_those_that_its_characters_stand_on(lengths: list[int]) -> None:
    text, pages = "", []
    for number, length in enumerate(lengths, 1):
        start = len(text)
        text += "word " * length + "\n\n"
        pages.append(Page(number, start, len(text)))
    for span in chunk(LoadedDocument("pdf", "T", text, pages=tuple(pages)), SMALL):
        touched = [page.number for page in pages if page.start < span.end and span.start < page.end]  # brute force
        assert (span.first_page, span.last_page) == (touched[0], touched[-1])


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\n"])
def test_a_blank_text_has_no_chunks(text: str) -> None:
    assert chunk(_markdown(text)) == []


def test_a_text_below_the_target_is_one_chunk() -> None:
    spans = chunk(_markdown("One.\n\nTwo.\n"))
    assert [(span.start, span.end) for span in spans] == [(0, 11)]
    assert (spans[0].first_page, spans[0].last_page) == (None, None)


def test_cuts_fall_between_paragraphs_then_lines_then_sentences_then_words() -> None:
    def cut(text: str) -> list[str]:
        return [text[span.start : span.end] for span in chunk(_markdown(text), SMALL)]

    paragraph = "p" * 60 + "\n\n"
    assert cut(paragraph * 2) == [paragraph] * 2  # 62 + 62 > 90
    line = "l" * 69 + "\n"
    assert cut(line * 2) == [line] * 2  # one paragraph of 140 > 120
    sentence = "s" * 70 + ". "
    assert cut(sentence * 2) == [sentence] * 2
    assert cut("five5 " * 30) == ["five5 " * 20, "five5 " * 10]  # 20 · 6 = 120
    assert cut("w" * 250) == ["w" * 120, "w" * 120, "w" * 10]  # 120 + 120 + 10


def test_a_heading_opens_a_chunk_once_the_one_before_holds_the_minimum() -> None:
    text = "x" * 40 + "\n\n# Two\n\nbody\n"
    assert [span.start for span in chunk(_markdown(text), SMALL)] == [0, 42]
    text = "x" * 10 + "\n\n# Two\n\nbody\n"
    assert [span.start for span in chunk(_markdown(text), SMALL)] == [0]


def test_a_heading_at_the_end_of_a_chunk_moves_to_its_text() -> None:
    text = "x" * 20 + "\n\n# Two\n\n" + "y" * 75 + "\n"  # 22 + 7 < minimum, so it does not open; 29 + 76 > 90
    assert [text[span.start : span.end][:5] for span in chunk(_markdown(text), SMALL)] == ["xxxxx", "# Two"]


def test_a_heading_stays_with_a_paragraph_that_fits_under_the_maximum() -> None:
    text = "# One\n\n" + "y" * 100 + "\n\n# Two\n\n" + "z" * 112 + "\n"  # 7 + 102 and 7 + 113 = 120
    assert [text[span.start : span.end][:5] for span in chunk(_markdown(text), SMALL)] == ["# One", "# Two"]


def test_a_rule_joins_the_chunk_before() -> None:
    text = "a" * 85 + "\n\n* * *\n\n" + "b" * 85 + "\n"
    assert [span.end for span in chunk(_markdown(text), SMALL)] == [94, len(text)]


def test_a_section_is_the_path_of_headings_without_the_title() -> None:
    text = "# T\n\n## A\n\n### B\n\n" + "b" * 60 + "\n\n## C\n\n" + "c" * 60 + "\n\n" + "d" * 60 + "\n"
    spans = chunk(_markdown(text), SMALL)
    assert [span.section for span in spans] == ["A › B", "C", "C"]
    assert spans[0].context == "T › A › B"


def test_underlined_headings_in_a_row_name_the_chunk_that_they_open() -> None:
    text = "Top\n===\n\nPart\n----\n\nwords\n"
    assert chunk(_markdown(text))[0].section == "Top › Part"


def test_a_chunk_inside_a_table_names_its_columns_and_the_first_does_not() -> None:
    text = "| year | sales |\n|---|---|\n" + "| 2025 | 11420 |\n" * 12
    contexts = [span.context for span in chunk(_markdown(text), SMALL)]
    assert contexts[0] == "T"
    assert len(contexts) > 2
    assert set(contexts[1:]) == {"T › | year | sales |"}


def test_an_endless_heading_or_header_row_does_not_swell_the_context() -> None:
    text = "# " + "long " * 20_000 + "\n\nbody\n"
    spans = chunk(_markdown(text))
    assert max(len(span.context) for span in spans) <= len("T › ") + MAX_SECTION_CHARACTERS
    rows = "r" * 5000
    table = LoadedDocument("csv", "T", rows, tables=(Table(0, len(rows), "h" * 5000),))
    assert max(len(span.context) for span in chunk(table)) == len("T › ") + MAX_COLUMNS_CHARACTERS


def test_text_before_the_first_heading_has_no_section() -> None:
    document = LoadedDocument("text", "T", "a" * 40 + "\nHEAD\nb", headings=(Heading(2, "HEAD", 41),))
    assert [span.section for span in chunk(document, SMALL)] == ["", "HEAD"]


@pytest.mark.parametrize(("target", "maximum", "minimum"), [(10, 5, 1), (5, 10, 6), (5, 10, 0), (5, 10, -1)])
def test_sizes_that_do_not_rise_are_refused(target: int, maximum: int, minimum: int) -> None:
    with pytest.raises(ValueError, match=r"^chunk sizes must rise: 0 < minimum <= target <= maximum"):
        ChunkSizes(target, maximum, minimum)


@pytest.mark.parametrize(
    ("path", "title", "expected"),
    [
        ("2023 Q1 AAPL.pdf", "Apple Inc., Form 10-Q", "2023 Q1 AAPL › Apple Inc., Form 10-Q"),
        ("deals/acme/board-notes.md", "Board notes of Acme", "deals › acme › Board notes of Acme"),
        ("board-notes.md", "Board Notes", "Board Notes"),
        ("a.b/v2.1.txt", "Plan", "a.b › v2.1 › Plan"),
        ("", "T", "T"),
    ],
)
def test_a_document_is_called_by_folders_file_and_title_without_saying_a_word_twice(
    path: str, title: str, expected: str
) -> None:
    assert document_name(path, title) == expected

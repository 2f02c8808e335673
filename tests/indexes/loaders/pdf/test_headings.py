"""Headings of a PDF: by its outline, by the numbering of filings, by tall and bold letters; running titles are none."""

from pathlib import Path

from indexes.documents import LoadedDocument
from indexes.text.chunking import ChunkSizes, chunk
from tests.indexes.loaders.drawing import Drawn, drawn, loaded

BODY = [f"Line {n} of the body goes on about the business for a while." for n in range(30)]


def page(*lines: str | tuple[str, float, str], number: str = "") -> list[Drawn]:
    """Lines from the top; a tuple has size and font. A gap stands before a tuple. The number stands at the foot."""
    things, y = [], 780.0
    for line in lines:
        text, size, font = line if isinstance(line, tuple) else (line, 10.0, "Helvetica")
        y -= 13 + (12 if isinstance(line, tuple) else 0)
        things.append(Drawn(72, y, text, size, font))
    return things + ([Drawn(300, 30, number)] if number else [])


def bold(text: str, size: float = 10.0) -> tuple[str, float, str]:
    return text, size, "Helvetica-Bold"


def titles(document: LoadedDocument) -> list[tuple[int, str]]:
    for heading in document.headings:
        assert heading.title.startswith(document.text[heading.start : heading.end_of_line(document.text)])
    return [(heading.level, heading.title) for heading in document.headings]


def test_bold_lines_are_headings_below_tall_ones(tmp_path: Path) -> None:
    things = page(("A report", 20, "Helvetica"), *BODY[:6], bold("RISKS"), *BODY[:4], bold("Market risk"), *BODY)
    assert titles(loaded(tmp_path, drawn([things]))) == [(1, "A report"), (2, "RISKS"), (3, "Market risk")]


def test_a_bold_start_of_a_paragraph_is_no_heading(tmp_path: Path) -> None:
    things = page(*BODY, bold("It ends in a comma,"), *BODY[:2], bold("runs on from above"), *BODY[:2])
    mixed = [Drawn(72, 100, "Overview.", 10, "Helvetica-Bold"), Drawn(126, 100, "The year began well.")]
    document = loaded(tmp_path, drawn([things, mixed]))
    assert [title for _, title in titles(document)] == ["It ends in a comma,"][:0]


def test_where_most_is_bold_bold_says_nothing(tmp_path: Path) -> None:
    things = page(*(bold(line) for line in BODY[:20]), *BODY[:5])
    assert titles(loaded(tmp_path, drawn([things]))) == []


def test_parts_items_and_notes_of_a_filing_nest(tmp_path: Path) -> None:
    things = page(bold("PART II"), bold("Item 8. Financial Statements"), *BODY[:8], bold("Note 12 — Leases"), *BODY[:8])
    more = page(bold("Item 9A. Controls and Procedures"), *BODY)
    document = loaded(tmp_path, drawn([things, more], title="Annual report"))
    assert titles(document) == [
        (1, "PART II"),
        (2, "Item 8. Financial Statements"),
        (3, "Note 12 — Leases"),
        (2, "Item 9A. Controls and Procedures"),
    ]
    sections = [span.section for span in chunk(document, ChunkSizes(300, 400, 100))]
    assert "PART II › Item 8. Financial Statements › Note 12 — Leases" in sections


def test_a_sentence_that_names_an_item_is_no_heading(tmp_path: Path) -> None:
    things = page(
        *BODY[:5], "Item 7 of this report speaks of risks, as do", "Item 1A, Risk Factors, and Part II of", *BODY
    )
    assert titles(loaded(tmp_path, drawn([things]))) == []


def test_a_table_of_contents_holds_no_headings(tmp_path: Path) -> None:
    rows = [(f"Item {n}. Something", str(n * 7)) for n in range(1, 9)]
    things = [Drawn(x, 700 - 14 * i, t) for i, row in enumerate(rows) for x, t in zip((72, 450), row, strict=True)]
    assert titles(loaded(tmp_path, drawn([things]))) == []


def test_bookmarks_give_titles_and_levels(tmp_path: Path) -> None:
    pages = [page("Introduction", *BODY), page("Scope of the work", *BODY[:3], "Results", *BODY)]
    marks = [(0, "Introduction", 0), (1, "Scope of the Work", 1), (1, "Results", 0), (1, "Not on the page", 0)]
    document = loaded(tmp_path, drawn(pages, bookmarks=marks))
    assert titles(document) == [(1, "Introduction"), (2, "Scope of the work"), (1, "Results")]


def test_running_titles_and_page_numbers_are_no_headings_and_stand_apart(tmp_path: Path) -> None:
    pages = [page(bold("Table of Contents", 14), *BODY[n : n + 4], number=f"Page {n}") for n in range(1, 6)]
    document = loaded(tmp_path, drawn(pages))
    assert titles(document) == []
    for number in range(1, 6):
        assert f"\n\nPage {number}\n" in document.text
        assert "Table of Contents\n\nLine" in document.text


def test_an_appendix_in_larger_letters_is_not_made_of_headings(tmp_path: Path) -> None:
    large = [(line, 13.0, "Helvetica") for line in BODY[:20]]
    pages = [page(*BODY)] * 20 + [page(*large)] * 10
    assert titles(loaded(tmp_path, drawn(pages))) == []

"""PDF files: pages, headings by letter height, and files that cannot be read."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load
from tests.indexes.files import pdf

BODY = [(f"Line {n} of the body, in small letters.", 10.0) for n in range(6)]


def _load(tmp_path: Path, content: bytes) -> LoadedDocument:
    path = tmp_path / "a.pdf"
    path.write_bytes(content)
    return load(path)


def test_text_stands_on_its_page(tmp_path: Path) -> None:
    document = _load(tmp_path, pdf([[("First page says one.", 10)], [("Second page says two.", 10)]]))
    assert [page.number for page in document.pages] == [1, 2]
    assert [document.text[page.start : page.end].strip() for page in document.pages] == [
        "First page says one.",
        "Second page says two.",
    ]


def test_pages_touch_and_cover_the_text_with_blank_ones_first_between_and_last(tmp_path: Path) -> None:
    document = _load(tmp_path, pdf([[], BODY, [], BODY, [], []]))
    edges = [page.start for page in document.pages] + [document.pages[-1].end]
    assert edges == sorted(edges)
    assert [page.end for page in document.pages] == edges[1:]
    assert (edges[0], edges[-1]) == (0, len(document.text))
    assert [page.number for page in document.pages] == [1, 2, 3, 4, 5, 6]


def test_taller_letters_are_headings_by_rank_and_stand_where_they_say(tmp_path: Path) -> None:
    document = _load(tmp_path, pdf([[("Main title", 20), *BODY, ("A part", 14), *BODY], [("B part", 14), *BODY]]))
    assert [(heading.level, heading.title) for heading in document.headings] == [
        (1, "Main title"),
        (2, "A part"),
        (2, "B part"),
    ]
    for heading in document.headings:
        assert document.text[heading.start : heading.end_of_line(document.text)] == heading.title


def test_a_heading_over_two_lines_is_one_heading(tmp_path: Path) -> None:
    document = _load(tmp_path, pdf([[("A long title that", 20), ("runs on", 20), *BODY]]))
    assert [heading.title for heading in document.headings] == ["A long title that runs on"]


def test_the_first_line_after_blank_ones_keeps_its_heading_in_place(tmp_path: Path) -> None:
    document = _load(tmp_path, pdf([[("   ", 10), ("   ", 10), ("Title", 20), *BODY]]))
    assert document.headings[0].title == "Title"
    assert document.text[document.headings[0].start :].startswith("Title\n")


def test_a_word_hyphenated_at_a_line_end_is_joined(tmp_path: Path) -> None:
    document = _load(tmp_path, pdf([[("It passed the exam-", 10), ("ination in May.", 10)]]))
    assert document.text == "It passed the examination in May.\n"


def test_the_title_is_the_metadata_then_the_first_heading_then_the_first_line(tmp_path: Path) -> None:
    assert _load(tmp_path, pdf([[("Heading", 20), *BODY]], title="From the metadata")).title == "From the metadata"
    assert _load(tmp_path, pdf([[("x", 10), *BODY, ("Heading", 20)]])).title == "Heading"
    assert _load(tmp_path, pdf([[("only line", 10)]], title=" ")).title == "only line"


def test_letters_of_one_height_give_no_headings(tmp_path: Path) -> None:
    assert _load(tmp_path, pdf([BODY])).headings == ()


def test_an_encrypted_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^is encrypted; save a copy without a password$"):
        _load(tmp_path, pdf([BODY], password="secret"))


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_truncated_file_says_so(tmp_path: Path, share: float) -> None:
    content = pdf([BODY] * 3)
    with pytest.raises(LoadError, match=r"^is truncated or damaged \("):
        _load(tmp_path, content[: int(len(content) * share)])


def test_pages_without_text_ask_for_ocr(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^has no text on its 2 pages \(scanned pages need OCR first\)$"):
        _load(tmp_path, pdf([[], []]))

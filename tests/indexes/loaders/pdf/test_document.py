"""PDF files: pages, headings by letter height, and files that cannot be read."""

import contextlib
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load
from indexes.loaders.limits import LoadLimits
from indexes.loaders.pdf.page import _is_garbled
from tests.indexes.loaders.drawing import Drawn, Picture, drawn, loaded, plain
from tests.support.files import pdf

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


def test_pages_without_text_and_pictures_have_no_text(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^has no text on its 2 pages$"):
        _load(tmp_path, pdf([[], []]))


def test_a_file_of_pictures_needs_ocr_and_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^has only scanned pages \(2 of 3\): scanned pages need OCR; .*`ocr`.*--ocr$"):
        _load(tmp_path, drawn([[Picture()], [Picture()], []]))


def test_scanned_pages_among_others_are_noted(tmp_path: Path) -> None:
    digital = [Drawn(72, 700, "Digital.")]
    document = _load(tmp_path, drawn([digital, [Picture()], [Picture(), Drawn(300, 20, "3")], digital, [Picture()]]))
    assert document.notes == ("pages 2-3, 5 scanned, not in the text: scanned pages need OCR (--ocr)",)
    assert [page.number for page in document.pages] == [1, 2, 3, 4, 5]


def test_a_small_picture_on_an_empty_page_is_no_scan(tmp_path: Path) -> None:
    document = _load(tmp_path, drawn([[Drawn(72, 700, "Text.")], [Picture(100, 100, 50, 50)]]))
    assert document.notes == ()


def test_too_many_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^has 3 pages, over the limit of 2; split it or raise --max-pages$"):
        loaded(tmp_path, pdf([BODY] * 3), LoadLimits(max_pages=2))


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="over the limit of 300; split it"):
        loaded(tmp_path, pdf([BODY] * 3), LoadLimits(max_characters=300))


def test_a_page_that_cannot_be_read_is_noted_and_the_others_are_kept(tmp_path: Path) -> None:
    content = pdf([[("First.", 10)], [("Second.", 10)], [("Third.", 10)]])
    kids = re.search(rb"/Kids \[ (\d+ 0 R) (\d+ 0 R) (\d+ 0 R) \]", content)
    assert kids
    document = _load(tmp_path, content.replace(kids[0], kids[0].replace(kids[2], b"null ")))
    assert document.text.split() == ["First.", "Third."]
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert re.fullmatch(r"page 2 not read: .+", document.notes[0])


def test_a_page_tree_that_runs_in_a_circle_ends(tmp_path: Path) -> None:
    content = pdf([[("First.", 10)], [("Second.", 10)]])
    tree = re.search(rb"(\d+) 0 obj\s*<<\s*/Count 2 /Kids \[ (\d+) 0 R", content)
    assert tree
    circle = content.replace(b"[ " + tree[2] + b" 0 R", b"[ " + tree[1] + b" 0 R")
    with contextlib.suppress(LoadError):  # what is read of it is PDFium's choice
        assert len(_load(tmp_path, circle).pages) <= 2


def test_a_count_of_pages_that_is_a_lie_is_refused(tmp_path: Path) -> None:
    content = pdf([[("First.", 10)]])
    with pytest.raises(LoadError, match=r"^has 999,999 pages, over the limit of 20,000"):
        _load(tmp_path, content.replace(b"/Count 1", b"/Count 999999"))


def test_a_damaged_table_of_references_is_rebuilt(tmp_path: Path) -> None:
    content = pdf([[("Still here.", 10)]])
    offset = re.search(rb"startxref\s+(\d+)", content)
    assert offset
    assert _load(tmp_path, content.replace(offset[1], b"7" * len(offset[1]))).text == "Still here.\n"


def test_a_page_of_private_letters_is_garbled_and_one_among_many_is_not() -> None:
    assert _is_garbled("\ue001\ue002\ue003 private letters only \ue004\ue005\ue006\ue007", 26)  # 7 of 26
    assert not _is_garbled("A line of letters with one odd \ue000 in it and more besides.", 48)


@pytest.mark.parametrize("box", ["[0 0 1e9 1e9]", "[0 0 0 0]", "[-5 -5 5 5]", "[9 9 1 1]", "[nan 0 1 inf]"])
def test_strange_page_boxes_do_no_harm(tmp_path: Path, box: str) -> None:
    content = pdf([[("Words on a strange page.", 10)]])
    found = re.search(rb"/MediaBox \[[^\]]*\]", content)
    assert found
    assert "strange" in _load(tmp_path, content.replace(found[0], b"/MediaBox " + box.encode())).text


def test_a_compound_keeps_its_hyphen_where_the_document_writes_it_so(tmp_path: Path) -> None:
    lines = ["A long-term plan was made for the plant.", "It is now a plan that is long-", "term and useful to all."]
    document = _load(tmp_path, drawn([[Drawn(72, 700 - 14 * i, line) for i, line in enumerate(lines)]]))
    assert "is long-term and useful" in document.text


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12)), min_size=1, max_size=5))
def test_a_file_with_wrong_bytes_is_read_or_refused(tmp_path: Path, cuts: list[tuple[float, bytes]]) -> None:
    content = pdf([BODY, [("Heading", 20), *BODY]])
    for share, wrong in cuts:
        at = int(len(content) * share)
        content = content[:at] + wrong + content[at + len(wrong) :]
    with contextlib.suppress(LoadError):
        assert loaded(tmp_path, content).text.strip()


def test_very_many_pieces_at_one_height_lose_nothing(tmp_path: Path) -> None:
    things = [Drawn(10 + 7 * (i % 80), 700 - 0.01 * (i // 80), str(i), 4) for i in range(4000)]
    content = drawn([things])
    there, wanted = Counter(loaded(tmp_path, content).text), Counter(plain(content))
    assert {digit: there[digit] for digit in "0123456789"} == {digit: wanted[digit] for digit in "0123456789"}

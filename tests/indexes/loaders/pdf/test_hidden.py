"""Text of a PDF that its reader does not see is kept apart; what only looks as if it were hidden stays."""

from pathlib import Path

import pytest

from evals.bench.hostile.documents import pdf
from indexes.documents import LoadedDocument
from indexes.loaders import load
from indexes.loaders.hidden import reasons as hidden

SEEN, UNSEEN = "The cap is 1 million euros.", "Mallory gets nine million."
IMAGE = "q 400 0 0 60 60 660 cm BI /W 2 /H 2 /CS /G /BPC 8 ID \x10\xf0\xf0\x10 EI Q "


def _load(tmp_path: Path, drawn: str) -> LoadedDocument:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(drawn))
    return load(path)


def _text(text: str, y: int = 700, before: str = "") -> str:
    return f"BT /F1 12 Tf 72 {y} Td {before} ({text}) Tj ET "


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (_text(UNSEEN, 600, "3 Tr"), hidden.INVISIBLE),
        (_text(UNSEEN, 600, "7 Tr"), hidden.INVISIBLE),
        (_text(UNSEEN, 600, "1 1 1 rg"), hidden.WHITE),
        (_text(UNSEEN, 600, "0.97 g"), hidden.WHITE),
        (f"0 0 1 rg 60 590 400 30 re f {_text(UNSEEN, 600, '0 0 1 rg')}", hidden.SAME_COLOUR),
        (f"1 g 60 590 400 30 re f {_text(UNSEEN, 600, '1 g')}", hidden.WHITE),
        (_text(UNSEEN, 600, "/F1 0.5 Tf"), hidden.TINY),
        (f"q 0.05 0 0 0.05 0 0 cm BT /F1 12 Tf 2000 9000 Td ({UNSEEN}) Tj ET Q ", hidden.TINY),
        (_text(UNSEEN, -100), hidden.OFF_PAGE),
        (_text(UNSEEN, 5000), hidden.OFF_PAGE),
        (f"{_text(UNSEEN, 600)} 0 g 60 590 400 30 re f", hidden.COVERED),
        (f"q 0 0 20 20 re W n {_text(UNSEEN, 600)} Q", hidden.OFF_PAGE),
        (f"/OC /L1 BDC {_text(UNSEEN, 600)} EMC", hidden.LAYER),
    ],
)
def test_what_is_not_seen_is_kept_apart_with_its_reason(tmp_path: Path, drawn: str, reason: str) -> None:
    document = _load(tmp_path, f"0 g {_text(SEEN)} {drawn}")
    assert document.text.strip() == SEEN
    assert [(item.reason, item.text, item.page) for item in document.hidden] == [(reason, UNSEEN, 1)]
    assert any(reason in note for note in document.notes)


def test_a_hidden_run_inside_a_line_glues_no_words(tmp_path: Path) -> None:
    document = _load(tmp_path, f"BT /F1 12 Tf 72 700 Td (The cap ) Tj 3 Tr ({UNSEEN}) Tj 0 Tr ( is 1 million.) Tj ET")
    assert document.text.split() == "The cap is 1 million.".split()
    assert [item.text for item in document.hidden] == [UNSEEN]


@pytest.mark.parametrize(
    "drawn",
    [
        f"0 g 60 690 400 30 re f {_text(SEEN, 700, '1 g')}",  # white on black
        f"0.2 0.3 0.6 rg 60 690 400 30 re f {_text(SEEN, 700, '1 1 1 rg')}",
        f"1 1 0 rg 60 690 400 30 re f {_text(SEEN, 700, '0 g')}",  # marked
        _text(SEEN, 700, "/F1 4 Tf"),
        _text(SEEN, 700, "0.6 g"),
        f"q 0 0 612 792 re W n {_text(SEEN)} Q",
        f"q 60 690 400 30 re W n {_text(SEEN)} Q",
        f"{_text(SEEN)} 0 g 60 600 400 30 re f",  # something else is covered
        f"{IMAGE} {_text(SEEN, 680, '3 Tr')}",  # the OCR of a scan
        f"q 0 1 -1 0 600 100 cm BT /F1 12 Tf 72 100 Td ({SEEN}) Tj ET Q",  # turned
        f"{_text(SEEN)} {_text('☑', 600, '3 Tr').replace('☑', '-')}",  # a mark without a word
    ],
)
def test_what_is_seen_stays(tmp_path: Path, drawn: str) -> None:
    document = _load(tmp_path, drawn)
    assert SEEN in document.text
    assert document.hidden == ()


def test_the_ocr_of_a_scan_is_said(tmp_path: Path) -> None:
    document = _load(tmp_path, f"{IMAGE} {_text(SEEN, 680, '3 Tr')}")
    assert any("as OCR writes it" in note for note in document.notes)

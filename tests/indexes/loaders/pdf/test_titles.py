"""Titles of PDFs: a filing's cover first, metadata that say something next, then the largest letters."""

from pathlib import Path

import pytest

from indexes.loaders.pdf.titles import is_junk
from tests.indexes.loaders.drawing import Drawn, drawn, loaded

COVER = [
    "UNITED STATES",
    "SECURITIES AND EXCHANGE COMMISSION",
    "FORM 10-K",
    "For the fiscal year ended December 31, 2022",
    "Commission File Number: 0-12345",
    "ACME TOOLS, INC.",
    "(Exact name of registrant as specified in its charter)",
    "Delaware",
]


def title_of(tmp_path: Path, lines: list[str], metadata: str = "") -> str:
    things = [Drawn(72, 780 - 14 * i, line) for i, line in enumerate(lines)]
    return loaded(tmp_path, drawn([things], title=metadata)).title


@pytest.mark.parametrize("metadata", ["", "0001234567-23-000011", "ACME 10-K"])
def test_a_filing_is_called_by_company_form_and_period(tmp_path: Path, metadata: str) -> None:
    wanted = "ACME TOOLS, INC., Form 10-K, fiscal year ended December 31, 2022"
    assert title_of(tmp_path, COVER, metadata) == wanted


def test_a_cover_that_does_not_label_the_name_has_it_below_the_file_number(tmp_path: Path) -> None:
    lines = [line for line in COVER if "Exact name" not in line]
    quarterly = [line.replace("10-K", "10-Q").replace("fiscal year", "Quarterly Period") for line in lines]
    wanted = "ACME TOOLS, INC., Form 10-Q, quarterly period ended December 31, 2022"
    assert title_of(tmp_path, quarterly) == wanted


def test_a_report_of_an_event_has_its_date(tmp_path: Path) -> None:
    lines = ["FORM 8-K", "Date of Report (Date of earliest event reported): August 30, 2023", *COVER[5:7]]
    assert title_of(tmp_path, lines) == "ACME TOOLS, INC., Form 8-K, August 30, 2023"


def test_a_title_of_the_metadata_is_kept(tmp_path: Path) -> None:
    assert title_of(tmp_path, ["Some text."], "Annual report of Acme") == "Annual report of Acme"


def test_junk_gives_way_to_the_largest_lines(tmp_path: Path) -> None:
    things = [
        Drawn(72, 700, "On the Strength", 20),
        Drawn(72, 676, "of Paper Bags", 20),
        Drawn(72, 640, "By A. Author"),
    ]
    document = loaded(tmp_path, drawn([things], title="Microsoft Word - doc1"))
    assert document.title == "On the Strength of Paper Bags"


@pytest.mark.parametrize(
    "title",
    ["", "untitled", "Document1", "0001234567-23-000011", "Microsoft Word - report final.docx", "scan_0001", "a.indd"],
)
def test_what_says_nothing_is_junk(title: str) -> None:
    assert is_junk(title)


@pytest.mark.parametrize(
    "title", ["Annual report 2022", "ADBE 10-K FY22", "Attention Is All You Need", "Presentation of X"]
)
def test_what_names_the_document_is_not(title: str) -> None:
    assert not is_junk(title)

"""The benchmark of PDFs: what counts as found, by hand arithmetic, and a run over files made here."""

import json
from pathlib import Path

import pytest

from evals.bench.pdf_evidence import (
    Evidence,
    look_for,
    read_evidence,
    row_in_line,
    stands_in_order,
    table_rows,
    tokens,
    words_share,
)
from evals.bench.pdfs import READERS, Reading, measure, pdf_files, search, shares
from tests.support.files import pdf

TABLE = (
    "Assets\n2022\n2021\nCash\n$\n3,655 $\n4,564 \nDebt\n238 \n(201) \nLeases\n7\n8\nTotal\n9\n10\nSee the notes.\n50"
)


def test_tokens_are_letters_and_digits_in_lower_case() -> None:
    assert tokens("Net sales: $ 34,229 (ﬁnal_x)") == ["net", "sales", "34", "229", "final", "x"]


def test_the_share_of_words_counts_repetitions() -> None:
    # wanted: a a b c; the page has a, b, b: a once of two, b, not c → 2 of 4
    assert words_share("a a b c", "A b, b") == 0.5
    assert words_share("", "x") == 1.0


def test_tokens_in_order_are_whole_and_next_to_each_other() -> None:
    assert stands_in_order(["1", "2"], ["0", "1", "2", "3"])
    assert not stands_in_order(["1", "2"], ["11", "2"])
    assert not stands_in_order(["1", "2"], ["1", "x", "2"])


def test_rows_of_a_table_are_labels_with_their_values_without_years_and_page_numbers() -> None:
    assert table_rows(TABLE) == [
        ("Cash", ["$", "3,655 $", "4,564 "][1:]),
        ("Debt", ["238 ", "(201) "]),
        ("Leases", ["7", "8"]),
        ("Total", ["9", "10"]),
    ]


def test_few_rows_are_no_table() -> None:
    assert table_rows("Cash\n1\nDebt\n2\nLeases\n3") == []


@pytest.mark.parametrize(
    ("line", "stands"),
    [
        ("| Cash | $ 3,655 | $ 4,564 |", True),
        ("| Total cash | 3,655 | x | 4,564 |", True),  # in order, though not next to each other
        ("| Cash | 4,564 | 3,655 |", False),
        ("3,655 4,564 Cash", False),
    ],
)
def test_a_row_is_in_a_line_that_has_the_label_and_then_its_values(line: str, stands: bool) -> None:
    assert row_in_line("Cash", ["3,655", "4,564"], [tokens("Heading"), tokens(line)]) is stands


def test_what_is_found_is_counted_and_what_is_not_has_a_reason() -> None:
    rows = ["| Cash | $ 3,655 | $ 4,564 |", "| Debt | 238 | (201) |", "| Leases | 7 | 8 |", "Total", "9 10"]
    page = "\n".join([*rows, "Assets 2022 2021 See the notes. 50"])
    found = look_for(Evidence("q", "d", 1, TABLE), ["another page", page])
    # 17 of the 18 lines of evidence hold tokens ("$" does not); of the 4 rows, "Total" is not in line with 9 and 10.
    assert (found.words, found.lines, found.lines_in_order, found.rows, found.rows_in_line) == (True, 17, 17, 4, 3)
    assert found.reason == ""
    elsewhere = look_for(Evidence("q", "d", 0, TABLE), ["another page", page])
    assert not elsewhere.words
    assert elsewhere.reason == "stands on page 1 (1.00 of its words, here 0.00)"


def _data(root: Path) -> Path:
    folder = root / "financebench"
    (folder / "pdfs").mkdir(parents=True)
    (folder / "pdfs" / "A.pdf").write_bytes(pdf([[("Cover.", 10)], [("Sales were 34,229 million.", 10)]]))
    questions = [
        {"financebench_id": "1", "evidence": [_evidence("A", 1, "sales were 34,229"), _evidence("A", 0, "sales")]},
        {"financebench_id": "2", "evidence": [_evidence("absent", 0, "x")]},
    ]
    lines = "\n".join(map(json.dumps, questions))
    (folder / "financebench_open_source.jsonl").write_text(lines, encoding="utf-8")
    return root


def _evidence(name: str, page: int, text: str) -> dict[str, object]:
    return {"doc_name": name, "evidence_page_num": page, "evidence_text": text}


def test_evidence_of_pdfs_that_are_here_is_looked_for_on_its_page(tmp_path: Path) -> None:
    folder = _data(tmp_path) / "financebench"
    evidence = read_evidence(folder)
    assert [(item.question, item.document, item.page) for item in evidence] == [("1", "A", 1), ("1", "A", 0)]
    for reader in READERS:
        found = search(evidence, folder / "pdfs", reader)
        assert [item.words for item in found] == [True, False]
        # one of two strings; 3 tokens in one line and 1 in the other: one of two lines; no tables
        assert list(shares(found).values()) == ["0.500 (1/2)", "0.500 (1/2)", "0.500 (1/2)", "none"]


def test_readers_take_turns_in_processes_of_their_own(tmp_path: Path) -> None:
    readings = measure(_data(tmp_path), 1)
    assert {reader: [run.pages for run in runs] for reader, runs in readings.items()} == {
        reader: [2] for reader in READERS
    }
    assert all(0 < run.rest_mib <= run.peak_mib for runs in readings.values() for run in runs)
    assert Reading(10, 4.0, 3.0, 1.0, 1.0).pages_per_second == 2.5


def test_a_folder_without_pdfs_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no financebench/pdfs"):
        pdf_files(tmp_path)

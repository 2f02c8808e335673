"""Questions over filings: patterns, pages and names on made files, and the real counts where the data is here."""

import json
from pathlib import Path

import pytest

from evals.datasets.filings import FilingQuestion, financebench, folders, sec10q

DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")


def _sec10q(folder: Path, rows: str, *files: str) -> None:
    (folder / "kgrag_sec10q" / "docs").mkdir(parents=True)
    for name in files:
        (folder / "kgrag_sec10q" / "docs" / name).touch()
    (folder / "kgrag_sec10q" / "qna_data.csv").write_text("﻿Question,Source Docs\n" + rows, encoding="utf-8")


def test_patterns_of_source_documents_name_files(tmp_path: Path) -> None:
    _sec10q(
        tmp_path, "How?,*2023 Q1 AAPL*\nWhich?,*AAPL*\n", "2023 Q1 AAPL.pdf", "2023 Q2 AAPL.pdf", "2023 Q1 MSFT.pdf"
    )
    one, several = sec10q(tmp_path)
    assert one.files == {"2023 Q1 AAPL.pdf"}
    assert several.files == {"2023 Q1 AAPL.pdf", "2023 Q2 AAPL.pdf"}
    assert not one.pages
    assert one.companies == ("AAPL", "Apple", "MSFT", "Microsoft")


def test_a_pattern_without_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    _sec10q(tmp_path, "How?,*IBM*\n", "2023 Q1 AAPL.pdf")
    with pytest.raises(ValueError, match=r"^no file matches '\*IBM\*', expected patterns"):
        sec10q(tmp_path)


def test_financebench_takes_the_questions_whose_file_is_here_and_counts_pages_from_one(tmp_path: Path) -> None:
    folder = tmp_path / "financebench"
    folder.mkdir()
    (folder / "ids_with_pdf_here.txt").write_text("id_1\n")
    rows = [
        {
            "financebench_id": number,
            "question": "How?",
            "company": "3M",
            "doc_name": "3M_2022_10K",
            "evidence": [{"doc_name": "3M_2022_10K", "evidence_page_num": 47}],
        }
        for number in ("id_1", "id_2")
    ]
    (folder / "financebench_open_source.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (question,) = financebench(tmp_path)
    assert question.files == {"3M_2022_10K.pdf"}
    assert question.pages == {("3M_2022_10K.pdf", 48)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What was Apple's margin?", "What was margin?"),
        ("Did APPLE’s or Applebee's rise?", "Did or Applebee's rise?"),
        ("Are J&J' figures those of Johnson & Johnson?", "Are figures those of ?"),
        ("3M", ""),
        ("Is 33M enough?", "Is 33M enough?"),
    ],
)
def test_names_and_their_genitives_are_taken_out(text: str, expected: str) -> None:
    companies = ("Apple", "Johnson & Johnson", "J&J", "3M")
    assert FilingQuestion("1", text, frozenset(), frozenset(), companies).nameless().text == expected


@needs_data
def test_the_real_questions_have_their_counts() -> None:
    quarterly, annual = sec10q(DATA), financebench(DATA)
    assert [sum(len(q.files) == n for q in quarterly) for n in (1, 4)] == [130, 65]
    assert (len(annual), sum(len(question.pages) for question in annual)) == (63, 77)
    files = {path.name for folder in folders(DATA) for path in folder.glob("*.pdf")}
    assert len(files) == 38
    assert all(question.files <= files for question in [*quarterly, *annual])


@needs_data
def test_no_real_question_without_names_holds_one() -> None:
    for question in [*sec10q(DATA), *financebench(DATA)]:
        assert question.nameless().nameless() == question.nameless()
        assert not {"apple", "msft", "amex", "pfizer", "jnj"} & set(question.nameless().text.lower().split())

"""Text, Markdown and CSV: structure, and tables that are not rectangles."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load
from indexes.loaders.parts import mail_headings, markdown_headings, markdown_tables, plain_headings


def _load(tmp_path: Path, name: str, content: str | bytes) -> LoadedDocument:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path)


def test_form_feeds_end_lines(tmp_path: Path) -> None:
    assert _load(tmp_path, "a.txt", "one\ftwo\n").text == "one\ntwo\n"


# Markdown


def test_markdown_headings_stand_where_they_say() -> None:
    text = "Title\n=====\n\n## A **b** ##\ntext\n\nSub\n---\n\n#no heading\n####### nor this\n"
    assert [(h.level, h.title, h.start) for h in markdown_headings(text)] == [
        (1, "Title", 0),
        (2, "A **b", text.index("## A")),
        (2, "Sub", text.index("Sub")),
    ]


@pytest.mark.parametrize(
    "fenced",
    [
        "```\n# no\n```\n",
        "~~~sh\n# no\n~~~\n",
        "````\n```\n# no\n```\n# no\n````\n",
        "~~~\n```\n# no\n~~~\n",
        "```not a fence``` in a line\n",
    ],
)
def test_code_fences_hold_no_headings_and_end_with_their_own_mark(fenced: str) -> None:
    assert [heading.title for heading in markdown_headings(f"# One\n{fenced}# Two\n")] == ["One", "Two"]


def test_pipe_tables_have_spans_and_a_header() -> None:
    table = "| a | b |\n|---|:-:|\n| 1 | 2 |\n"
    text = f"before\n\n{table}\nafter\n| no | table |\n"
    found = markdown_tables(text)
    assert [text[item.start : item.end] for item in found] == [table]
    assert found[0].header == "| a | b |"


def test_a_markdown_file_is_kept_as_it_stands(tmp_path: Path) -> None:
    text = "intro\n\n# Late\n\n| a |\n|---|\n| 1 |\n"
    document = _load(tmp_path, "a.md", text)
    assert (document.text, document.title) == (text, "Late")
    assert _load(tmp_path, "b.md", "## Second level\nx").title == "Second level"


@pytest.mark.parametrize(
    ("content", "title", "text"),
    [
        (
            "---\ntitle: 'A name'\nauthor: Ada\ntags: [a, b]\n---\n\n# One\nx\n",
            "A name",
            "author: Ada; tags: [a, b]\n\n# One\nx\n",
        ),
        ('+++\ntitle = "A name"\n+++\nx\n', "A name", "x\n"),
        ("---\nnested:\n  a: 1\n---\n# One\n", "One", "# One\n"),
        ("---\n\nA rule above, and no front matter.\n", "A rule above, and no front matter.", None),
    ],
)
def test_front_matter_gives_the_title_and_one_line(tmp_path: Path, content: str, title: str, text: str | None) -> None:
    document = _load(tmp_path, "a.md", content)
    assert (document.title, document.text) == (title, content if text is None else text)
    for heading in document.headings:
        assert document.text[heading.start :].startswith("# " + heading.title)


def test_lines_made_for_backtracking_are_read_as_text(tmp_path: Path) -> None:
    for content in ("# " + " " * 500_000 + "x", "`" * 500_000, "|" * 500_000):
        assert _load(tmp_path, "a.md", content + "\nwords\n").text.endswith("words\n")


# Plain text


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("3 Scope", 2),
        ("3.2 Scope of work", 3),
        ("3.2.1. Übersicht", 4),
        ("A. Measures", 2),
        ("Annex B Measures", 2),
        ("ARTICLE 4 Duties", 2),
        ("TERMS AND DURATION", 2),
    ],
)
def test_numbered_and_upper_case_lines_are_headings(line: str, level: int) -> None:
    headings = plain_headings(f"intro text.\n\n{line}\ntext\n")
    assert [(heading.level, heading.title) for heading in headings] == [(level, line)]


@pytest.mark.parametrize(
    "line",
    [
        "I think we should go",
        "A nice day it was",
        "2026 was a good year",
        "3 apples and a pear",
        "NO.",
        "X" * 81,
        "3.2 Scope.",
    ],
)
def test_sentences_are_no_headings(line: str) -> None:
    assert plain_headings(f"intro text.\n\n{line}\ntext\n") == []


def test_a_numbered_line_inside_a_paragraph_is_no_heading() -> None:
    assert plain_headings("as said in\n3.2 Scope\nof the deed\n") == []


def test_each_mail_of_a_thread_is_a_heading_and_keeps_the_last_subject() -> None:
    text = "From: Ada <a@x>\nSubject: Price\n\nhi\n\nFrom: Bo (ops)\nDate: today\n\nyes\n\nDate: alone\n"
    assert [(h.title, h.start) for h in mail_headings(text)] == [
        ("Price (from Ada)", 0),
        ("Price (from Bo)", text.index("From: Bo")),
    ]


def test_the_title_of_a_text_is_its_first_heading_or_line_and_bounded(tmp_path: Path) -> None:
    assert _load(tmp_path, "a.txt", "\n  A first line, that ends.\nmore\n").title == "A first line, that ends."
    assert _load(tmp_path, "b.txt", "RULES OF THE HOUSE\n\nmore\n").title == "RULES OF THE HOUSE"
    assert len(_load(tmp_path, "c.txt", f"From: a\nSubject: {'long ' * 900}\n\nx\n").title) <= 200


# CSV


def test_every_cell_carries_its_column(tmp_path: Path) -> None:
    document = _load(tmp_path, "net-sales_2025.csv", "Year,Sales (k)\n2024,6180\n2025,11420\n")
    assert document.text == "columns: Year, Sales (k)\nYear: 2024; Sales (k): 6180\nYear: 2025; Sales (k): 11420\n"
    assert document.title == "net sales 2025"
    assert [(t.start, t.end) for t in document.tables] == [(0, len(document.text))]


def test_ragged_rows_keep_every_cell(tmp_path: Path) -> None:
    text = _load(tmp_path, "a.csv", "a,b,c\n1\n1,2,3,4,5\n,,3\n\n,,\n").text
    assert text == "columns: a, b, c\na: 1\na: 1; b: 2; c: 3; column 4: 4; column 5: 5\nc: 3\n"


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, mark: str) -> None:
    rows = [["name", "price", "place"], ["cell", "68", "Oslo"], ["pack", "70", "Rome"]]
    text = _load(tmp_path, "a.csv", "\n".join(mark.join(row) for row in rows)).text
    assert text.splitlines()[1] == "name: cell; price: 68; place: Oslo"


def test_doubled_quotes_are_read_wherever_they_first_stand(tmp_path: Path) -> None:
    # RFC 4180: a quote inside a quoted cell is doubled, and the cell may hold the delimiter.
    early = 'name,said\n"a","he said ""x, y"" there"\n"b","no"\n'
    assert _load(tmp_path, "a.csv", early).text.splitlines()[1] == 'name: a; said: he said "x, y" there'
    late = "name,said\n" + '"a","plain words"\n' * 2000 + '"z","say ""hi"", ok"\n'
    assert _load(tmp_path, "b.csv", late).text.splitlines()[-1] == 'name: z; said: say "hi", ok'


def test_a_single_column_and_missing_names_are_read(tmp_path: Path) -> None:
    assert _load(tmp_path, "a.csv", "name\ncell\n").text == "columns: name\nname: cell\n"
    assert _load(tmp_path, "b.csv", "a,,c\n1,2,3\n").text.splitlines()[1] == "a: 1; column 2: 2; c: 3"


def test_a_row_of_more_cells_than_any_table_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^has a row of 20,000 cells, over the limit of 16,384"):
        _load(tmp_path, "a.csv", "a," * 19_999 + "a\n")


def test_titles_above_the_names_stand_as_text_and_years_may_name_columns(tmp_path: Path) -> None:
    text = _load(tmp_path, "a.csv", "Sales report\n\nregion,2024,2025\nNorth,1,2\nSouth,3,4\n").text
    assert text == "Sales report\n\ncolumns: region, 2024, 2025\nregion: North; 2024: 1; 2025: 2\n" + (
        "region: South; 2024: 3; 2025: 4\n"
    )


def test_a_table_without_rows_and_one_with_an_endless_cell_say_so(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^holds no rows$"):
        _load(tmp_path, "a.csv", ",,\n,,\n")
    with pytest.raises(LoadError, match=r"^is not a readable table: field larger than field limit"):
        _load(tmp_path, "b.csv", 'a,b\n"' + "x" * 200_000 + '",2\n')

"""Excel files: rows that can be read alone, values as Excel shows them, and sheets that claim more than they hold."""

from datetime import date, datetime, time
from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import LoadLimits, load
from tests.support.files import repacked, xlsx


def _load(
    tmp_path: Path, content: bytes, limits: LoadLimits | None = None, name: str = "net-sales.xlsx"
) -> LoadedDocument:
    path = tmp_path / name
    path.write_bytes(content)
    return load(path, limits)


def test_each_sheet_is_a_heading_and_each_row_names_its_columns(tmp_path: Path) -> None:
    document = _load(
        tmp_path,
        xlsx({"Sales": [["Year", "Net"], [2024, 6180], [2025, 11420.5]], "Notes": [["Who", "What"], ["Ada", "ok"]]}),
    )
    assert document.text == (
        "# Sales\n\ncolumns: Year, Net\nYear: 2024; Net: 6180\nYear: 2025; Net: 11420.5\n\n"
        "# Notes\n\ncolumns: Who, What\nWho: Ada; What: ok\n"
    )
    assert document.title == "net sales"
    assert [document.text[t.start : t.end].split("\n")[0] for t in document.tables] == [
        t.header for t in document.tables
    ]
    assert [heading.title for heading in document.headings] == ["Sales", "Notes"]


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (0.1234, "0.0%", "12.3%"),  # 0.1234 · 100 = 12.34
        (0.5, "0%", "50%"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (-1500, "#,##0", "-1,500"),
        (9.5, '"$"#,##0.00', "$9.50"),
        (9_000_000, "0.0,,", "9.0"),
        (9_000_000, "#,##0,", "9,000"),
        (9.5, "[$€-407]#,##0.00", "€9.50"),
        (12, '0.0" kg"', "12.0 kg"),
        (0.1 + 0.2, "General", "0.3"),
        (1e20, "General", "1e+20"),
        (12, "@", "12"),
        (True, "General", "TRUE"),
        (date(2025, 3, 4), "yyyy-mm-dd", "2025-03-04"),
        (datetime(2025, 3, 4, 13, 30), "dd.mm.yyyy hh:mm", "2025-03-04 13:30"),
        (time(9, 5), "hh:mm", "09:05:00"),
        ("text; with\nlines", "General", "text; with lines"),
    ],
)
def test_values_are_shown_as_a_reader_of_the_sheet_sees_them(
    tmp_path: Path, value: object, code: str, shown: str
) -> None:
    document = _load(tmp_path, xlsx({"S": [["a", "b"], ["x", value]]}, {"B2": code}))
    assert document.text.splitlines()[-1] == f"a: x; b: {shown}"


def test_a_hidden_sheet_is_kept_apart_and_an_empty_one_is_left_out(tmp_path: Path) -> None:
    document = _load(tmp_path, xlsx({"S": [["a"], [1]], "Secret": [["b"], [2]], "Blank": []}, hidden="Secret"))
    assert [heading.title for heading in document.headings] == ["S"]
    assert [(item.reason, item.text) for item in document.hidden] == [("hidden sheet", "Secret: b 2")]


def test_titles_above_the_names_and_names_in_two_rows_are_understood(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Sales of the group"],
        [None],
        ["Region", "2024", None, "2025", None],
        [None, "net", "gross", "net", "gross"],
        ["North", 1, 2, 3, 4],
        ["South", 5, 6, 7, 8],
    ]
    lines = _load(tmp_path, xlsx({"S": rows})).text.splitlines()
    assert lines[2] == "Sales of the group"
    assert lines[4] == "columns: Region, 2024 net, 2024 gross, 2025 net, 2025 gross"
    assert lines[5] == "Region: North; 2024 net: 1; 2024 gross: 2; 2025 net: 3; 2025 gross: 4"


def test_a_stray_cell_at_the_far_end_of_a_sheet_costs_nothing(tmp_path: Path) -> None:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>7</v></c></row></sheetData></worksheet>'
    )
    content = repacked(xlsx({"S": [["x"]]}), {"xl/worksheets/sheet1.xml": sheet})
    assert _load(tmp_path, content).text == "# S\n\ncolumns: name\ncolumn 16384: 7\n"


def test_rows_that_all_reach_the_last_column_are_refused(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 613))
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )
    content = repacked(xlsx({"S": [["x"]]}), {"xl/worksheets/sheet1.xml": sheet})
    with pytest.raises(LoadError, match=r"^spans over 10,000,000 blank cells in its sheet 'S'; delete them$"):
        _load(tmp_path, content)  # 612 · 16,383 = 10,026,396


def test_a_workbook_over_the_character_limit_stops_early(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="over the limit of 1,000"):
        _load(tmp_path, xlsx({"S": [["a"], *([["word"]] * 500)]}), LoadLimits(max_characters=1000))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_workbook_says_so(tmp_path: Path, share: float) -> None:
    content = xlsx({"S": [["a"]]})
    with pytest.raises(LoadError, match=r"^is truncated or damaged \("):
        _load(tmp_path, content[: int(len(content) * share)])

"""Tables of a PDF without ruling lines: rows stay whole, values stand in their columns, prose stays prose."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.loaders.pdf.page import HYPHEN
from indexes.text.chunking import ChunkSizes, chunk
from tests.indexes.loaders.drawing import Drawn, drawn, loaded, plain, right

WORDS = "The company sold its paper mill in the north to a group of investors and kept the land".split()


def table(rows: Sequence[Sequence[str]], columns: Sequence[float] = (400.0, 500.0), top: float = 700.0) -> list[Drawn]:
    """Rows of a label and right-aligned values; an empty value is not drawn."""
    things: list[Drawn] = []
    for number, (label, *values) in enumerate(rows):
        y = top - 14 * number
        if label:
            things.append(Drawn(72, y, label))
        things += [right(x, y, value) for x, value in zip(columns, values, strict=True) if value]
    return things


def lines_of(tmp_path: Path, things: Sequence[Drawn]) -> list[str]:
    return [line for line in loaded(tmp_path, drawn([things])).text.splitlines() if line]


def test_a_row_is_a_line_of_label_and_values_under_its_header(tmp_path: Path) -> None:
    rows = [("", "2022", "2021"), ("Net sales", "$ 34,229", "$ 35,355"), ("Cost of sales", "(19,232)", "(18,795)")]
    document = loaded(tmp_path, drawn([table(rows)]))
    assert document.text == (
        "|  | 2022 | 2021 |\n| Net sales | $ 34,229 | $ 35,355 |\n| Cost of sales | (19,232) | (18,795) |\n"
    )
    (found,) = document.tables
    assert (found.start, found.end, found.header) == (0, len(document.text), "|  | 2022 | 2021 |")


def test_a_missing_value_leaves_its_column_empty(tmp_path: Path) -> None:
    rows = [("", "2022", "2021"), ("Net sales", "10", "20"), ("Impairment", "", "7"), ("Gain", "3", "")]
    assert lines_of(tmp_path, table(rows))[1:] == [
        "| Net sales | 10 | 20 |",
        "| Impairment |  | 7 |",
        "| Gain | 3 |  |",
    ]


def test_currency_signs_and_per_cent_signs_that_stand_apart_belong_to_their_numbers(tmp_path: Path) -> None:
    things = table([("", "2022", "2021"), ("Sales", "34,229", "35,355"), ("Growth", "3.2", "4.4")])
    things += [Drawn(340, 686, "$"), Drawn(440, 686, "$"), Drawn(404, 672, "%"), Drawn(504, 672, "%")]
    assert lines_of(tmp_path, things)[1:] == ["| Sales | $ 34,229 | $ 35,355 |", "| Growth | 3.2 % | 4.4 % |"]


def test_cells_drawn_column_by_column_still_make_rows(tmp_path: Path) -> None:
    rows = [(f"Label {n}", f"{n},100", f"{n},200") for n in range(1, 13)]
    by_column = sorted(table(rows), key=lambda thing: (thing.x > 300, thing.x > 450))
    assert lines_of(tmp_path, by_column) == [f"| {label} | {a} | {b} |" for label, a, b in rows]


def test_header_cells_of_several_lines_are_joined_by_column(tmp_path: Path) -> None:
    top = [right(400, 728, "December 31,"), right(400, 714, "2022"), right(500, 728, "December 31,")]
    things = [*top, right(500, 714, "2021"), *table([("Cash", "1", "2"), ("Debt", "3", "4")])]
    assert lines_of(tmp_path, things)[0] == "|  | December 31, 2022 | December 31, 2021 |"


def test_labels_without_values_stay_in_the_table_and_titles_above_stay_out(tmp_path: Path) -> None:
    things = [Drawn(250, 740, "Balance sheet")]
    things += table([("", "2022", "2021"), ("Assets:", "", ""), ("Cash", "1", "2"), ("Debt", "3", "4")])
    assert lines_of(tmp_path, things) == [
        "Balance sheet",
        "|  | 2022 | 2021 |",
        "| Assets: |  |  |",
        "| Cash | 1 | 2 |",
        "| Debt | 3 | 4 |",
    ]


def test_a_label_over_two_lines_is_one_row(tmp_path: Path) -> None:
    long = "Amortization of actuarial loss included in net cost, net"
    things = table([("", "2022", "2021"), ("Sales", "1", "2"), (long, "", ""), ("of tax", "791", "(1,155)")])
    assert lines_of(tmp_path, things)[-1] == f"| {long} of tax | 791 | (1,155) |"


def test_a_raised_footnote_mark_does_not_break_its_row(tmp_path: Path) -> None:
    things = [Drawn(72, 714, "Segment"), right(400, 714, "2022"), Drawn(72, 700, "Restructuring charges")]
    things += [Drawn(172, 704, "(2)", 6), right(400, 700, "34"), Drawn(72, 686, "Other"), right(400, 686, "55")]
    assert lines_of(tmp_path, things)[1:] == ["| Restructuring charges (2) | 34 |", "| Other | 55 |"]


def test_a_new_row_of_years_begins_a_new_table(tmp_path: Path) -> None:
    rows = [("", "2022", "2021"), ("Cash", "1", "2"), ("Debt", "3", "4")]
    rows += [("", "2020", "2019"), ("Cash", "5", "6"), ("Debt", "7", "8")]
    document = loaded(tmp_path, drawn([table(rows)]))
    assert [found.header for found in document.tables] == ["|  | 2022 | 2021 |", "|  | 2020 | 2019 |"]


def test_years_as_labels_are_rows_of_data(tmp_path: Path) -> None:
    rows = [("", "Leases", "Debt"), ("2023", "1,000", "2,000"), ("2024", "1,100", "2,100")]
    assert lines_of(tmp_path, table(rows))[1:] == ["| 2023 | 1,000 | 2,000 |", "| 2024 | 1,100 | 2,100 |"]


def test_a_pipe_in_a_cell_is_escaped(tmp_path: Path) -> None:
    rows = [("", "2022", "2021"), ("A|B", "1", "2"), ("C", "3", "4")]
    assert lines_of(tmp_path, table(rows))[1] == r"| A\|B | 1 | 2 |"


def test_a_chunk_that_begins_inside_a_table_knows_its_columns(tmp_path: Path) -> None:
    rows = [("", "2022", "2021"), *((f"Label number {n}", f"{n},111", f"{n},222") for n in range(1, 20))]
    spans = chunk(loaded(tmp_path, drawn([table(rows)])), ChunkSizes(120, 200, 50))
    assert len(spans) > 2
    assert all("|  | 2022 | 2021 |" in span.context for span in spans[1:])


def test_sentences_with_numbers_are_not_cut_into_cells(tmp_path: Path) -> None:
    lines = [
        "Net sales rose by 3.2% in 2022 and by 4.4% in 2021, to $ 34,229",
        "million from $ 35,355 million, of which (19,232) was cost in 2021",
        "and 18,795 in 2020. The rest went to 4 funds in 2019 and 12",
    ]
    document = loaded(tmp_path, drawn([[Drawn(72, 700 - 14 * i, line) for i, line in enumerate(lines)]]))
    assert document.text.splitlines() == lines
    assert document.tables == ()


def test_a_numbered_list_is_no_table(tmp_path: Path) -> None:
    things = [Drawn(x, 700 - 14 * i, t) for i in range(4) for x, t in ((72, f"{i + 1}."), (100, f"Point {i} is made."))]
    document = loaded(tmp_path, drawn([things]))
    assert document.tables == ()
    assert document.text.splitlines() == [f"{i + 1}. Point {i} is made." for i in range(4)]


@pytest.mark.parametrize("by_line", [True, False])
def test_two_columns_of_prose_are_read_one_after_the_other(tmp_path: Path, by_line: bool) -> None:
    left = [f"The left column has line {i} of its text" for i in range(20)]
    other = [f"while the right one tells of {i} others" for i in range(20)]
    things = [Drawn(60, 740 - 13 * i, text) for i, text in enumerate(left)]
    things += [Drawn(310, 740 - 13 * i, text) for i, text in enumerate(other)]
    if by_line:
        things.sort(key=lambda thing: -thing.y)
    assert lines_of(tmp_path, things) == left + other


def test_a_paragraph_is_set_off_by_a_blank_line(tmp_path: Path) -> None:
    things = [Drawn(72, y, f"At {y} stands a line.") for y in (700, 688, 676, 650, 638)]
    text = loaded(tmp_path, drawn([things])).text
    assert [part.count("\n") for part in text.strip().split("\n\n")] == [2, 1]


def test_a_turned_page_has_the_same_rows(tmp_path: Path) -> None:
    rows = [("", "2022", "2021"), ("Net sales", "34,229", "35,355"), ("Cost", "19,232", "18,795")]
    assert loaded(tmp_path, drawn([table(rows)], turn=90)).text == loaded(tmp_path, drawn([table(rows)])).text


_CELLS = st.one_of(
    st.integers(-99_999, 99_999).map(lambda n: f"({-n:,})" if n < 0 else f"{n:,}"),
    st.sampled_from(["$", "%", "—", "2022", "A|B", "$ 1.28", "N/A", "(1)", *WORDS]),
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=9).map(" ".join),
)
_PLACED = st.builds(
    lambda column, row, text, size: Drawn(40 + 130 * column, 780 - 12 * row, text, size),
    st.integers(0, 3),
    st.integers(0, 30),
    _CELLS,
    st.sampled_from([8.0, 10.0, 14.0]),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(things=st.lists(_PLACED, min_size=1, max_size=60, unique_by=lambda thing: (thing.x, thing.y)))
def test_no_character_is_lost_and_none_is_made_up_but_for_pipes(tmp_path: Path, things: list[Drawn]) -> None:
    content = drawn([things])
    document = loaded(tmp_path, drawn([[*things, Drawn(40, 20, "end")]]))
    wanted = Counter(plain(content) + "end")
    there = Counter(document.text)
    for made in (" ", "\n", "\r", "|", "\\", "-", "\x02", HYPHEN):
        wanted.pop(made, 0)
        there.pop(made, 0)
    assert there == wanted
    assert all(document.text[found.start : found.end].startswith("|") for found in document.tables)
    assert all(found.header in document.text[found.start : found.end] for found in document.tables)

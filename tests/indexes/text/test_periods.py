"""Periods: spellings that give the same terms, and the latest of names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.text.periods import asks_for_latest, latest, period_terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in the third quarter of 2023", ["q3"]),
        ("1st fiscal quarter", ["q1"]),
        ("revenue in q22023", ["q2", "2023"]),
        ("q2'23 and 4q22", ["q2", "2023", "q4", "2022"]),
        ("fy22 vs fy 21", ["2022", "2021"]),
        ("fy2022", []),  # its words give the year
        ("q2 2023", []),
        ("q21", []),  # one digit is no year
        ("a quarter of the third", []),
    ],
)
def test_spellings_of_periods_give_terms(text: str, expected: list[str]) -> None:
    assert period_terms(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [("the most recent 10-Q", True), ("Latest board notes?", True), ("a recent change", False), ("lately", False)],
)
def test_a_question_for_the_latest_is_told(query: str, expected: bool) -> None:
    assert asks_for_latest(query) is expected


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2022 Q3 AAPL", "2023 Q1 AAPL"),
        ("2023 Q1 AAPL", "2023 Q3 AAPL"),
        ("board-notes-2026-q2", "board-notes-2026-q3"),
        ("REPORT_2024Q1_10Q", "REPORT_2024Q2_10Q"),
        ("minutes 2026-08-30", "minutes 2026-11-02"),
        ("Form 10-Q, quarterly period ended March 31, 2023", "Form 10-Q, quarterly period ended July 1, 2023"),
        ("annual report 2021", "annual report 2022"),
        ("plan Q1 FY2023", "plan Q4 FY2023"),
        ("notes, Sept. 2023", "notes, Dec 2023"),
    ],
)
def test_the_later_name_is_the_latest(earlier: str, later: str) -> None:
    assert latest({1: earlier, 2: later, 3: "without a period"}) == {2}


def test_names_of_one_period_are_all_the_latest_and_none_without_periods() -> None:
    assert latest({1: "memo 2023", 2: "notes 2023", 3: "memo 2022"}) == {1, 2}
    assert latest({1: "memo", 2: "item 120234"}) == set()
    assert latest({}) == set()


@given(st.text(alphabet="qfy0123456789 -_'janstdquarter.", max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert all(term.isalnum() for term in period_terms(text))
    assert latest({1: text}) <= {1}

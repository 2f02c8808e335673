"""Names of documents: what a question asks for and what a text names, with the weights by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.search.naming import Names

QUARTERS = {1: "2023 Q1 AAPL", 2: "2023 Q2 AAPL", 3: "2022 Q1 MSFT"}


def test_the_name_that_holds_more_of_the_rare_words_is_asked_for() -> None:
    # Terms: 2023 q 1 aapl q1 | 2023 q 2 aapl q2 | 2022 q 1 msft q1. Of N = 3 names, n hold a term:
    # w(n) = ln(1 + (3 − n + ½)/(n + ½)): w(1) = ln(8/3), w(2) = ln(8/5), w(3) = ln(8/7)
    w1, w2, w3 = math.log(8 / 3), math.log(8 / 5), math.log(8 / 7)
    said = {"2023", "q", "1", "q1", "margin"}  # margin is in no name
    whole = w2 + w3 + w2 + w2
    assert Names(QUARTERS).asked(said) == {
        1: pytest.approx(1.0),
        2: pytest.approx(((w2 + w3) / whole) ** 3),
        3: pytest.approx(((w3 + w2 + w2) / whole) ** 3),
    }
    # The whole name of 2 is 2023, q, 2, aapl, q2: said are 2023 and q
    assert Names(QUARTERS).named(said)[2] == pytest.approx(((w2 + w3) / (w2 + w3 + w1 + w2 + w1)) ** 3)


def test_a_name_said_whole_counts_one_and_half_a_name_an_eighth() -> None:
    names = Names({1: "alpha beta", 2: "gamma delta"})  # all four terms weigh the same
    found = names.named({"alpha", "beta", "gamma"})
    assert found == {1: pytest.approx(1.0), 2: pytest.approx(1 / 8)}


def test_without_names_or_shared_words_nothing_is_asked_for() -> None:
    assert Names({1: "", 2: "alpha"}).asked({"beta"}) == {1: 0.0, 2: 0.0}
    assert Names({1: "", 2: "alpha"}).named({"beta"}) == {1: 0.0, 2: 0.0}
    assert Names({}).asked({"beta"}) == {}


@given(st.dictionaries(st.integers(0, 9), st.text(max_size=30)), st.sets(st.sampled_from(["a1", "b", "2023", "q1"])))
def test_shares_lie_in_the_unit_interval(called: dict[int, str], said: set[str]) -> None:
    names = Names(called)
    for shares in (names.asked(said), names.named(said)):
        assert shares.keys() == called.keys()
        assert all(0 <= share <= 1 + 1e-9 for share in shares.values())

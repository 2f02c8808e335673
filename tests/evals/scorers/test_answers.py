"""Measures of answers by hand, and by the definition of SQuAD's own script."""

import math
import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scorers.answers import (
    Number,
    chosen_letter,
    exact_match,
    f1,
    fact_recall,
    normalised,
    number_recall,
    numbers,
    numeric_match,
)


def _squad_f1(prediction: str, truth: str) -> float:
    """F1 as SQuAD's evaluation defines it, step by step."""

    def tokens(text: str) -> list[str]:
        text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    left, right = tokens(prediction), tokens(truth)
    same = sum((Counter(left) & Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(left), same / len(right)
    return 2 * precision * recall / (precision + recall)


_TEXTS = st.lists(st.sampled_from("the cat, sat on A mat. cat! 13 dogs an".split()), min_size=1, max_size=8).map(
    " ".join
)


@given(_TEXTS, _TEXTS)
def test_f1_is_squads(answer: str, gold: str) -> None:
    if not normalised(gold):
        assert math.isnan(f1(answer, gold))
    else:
        assert f1(answer, gold) == pytest.approx(_squad_f1(answer, gold))


def test_f1_by_hand() -> None:
    # "the fee is 2 percent" and "fee 2 percent of sales": without the article 4 and 5 words, 3 in common: 6 / 9
    assert f1("The fee is 2 percent.", "fee 2 percent of sales") == pytest.approx(6 / 9)
    assert f1("nothing", "fee") == 0.0
    assert math.isnan(f1("fee", " . "))


def test_exact_match_forgives_case_articles_and_signs() -> None:
    assert exact_match("The Eiffel Tower!", "eiffel tower") == 1.0
    assert exact_match("Eiffel", "eiffel tower") == 0.0
    assert math.isnan(exact_match("x", ""))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("$1,577.00 million", [1.577e9]),
        ("It was 13.7 months.", [13.7]),
        ("a loss of (1,234)", [1234]),
        ("a loss of ($1,234)", [-1234]),
        ("-5.2% and 12 percent", [-0.052, 0.12]),
        ("−3", [-3]),
        ("€8,820k", [8_820_000]),
        ("2.5bn", [2.5e9]),
        ("Q3 2023 in the 10-K", [2023]),
        ("pages 3-5", [3, 5]),
        ("version 3a", []),
        (".5", [0.5]),
        ("1,2,3", [1, 2, 3]),
        ("no number", []),
    ],
)
def test_numbers_by_hand(text: str, values: list[float]) -> None:
    assert [number.value for number in numbers(text)] == pytest.approx(values)


def test_what_is_known_of_a_number() -> None:
    assert numbers("12%") == [Number(0.12, True, False)]
    assert numbers("12 million") == [Number(12e6, False, True)]


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("Capital expenditure was $1,577 million.", "$1577.00", 1.0),  # the question asked in millions
        ("It was 1.58 billion dollars.", "$1577.00", 1.0),
        ("It was 1.6 billion dollars.", "$1577.00", 0.0),
        ("24.3%", "0.243", 1.0),
        ("24.3", "24.3%", 1.0),
        ("about 25%", "24.3%", 0.0),
        ("none", "24.3%", 0.0),
        ("1577", "It rose to 1,577 from 1,373", 1.0),  # the first number is the answer
        ("1373", "It rose to 1,577 from 1,373", 0.0),
    ],
)
def test_a_number_counts_by_its_value(answer: str, gold: str, expected: float) -> None:
    assert numeric_match(answer, gold) == expected


def test_without_a_number_nothing_is_scored() -> None:
    assert math.isnan(numeric_match("5", "yes"))
    assert math.isnan(number_recall("5", "in 2023"))


def test_recall_of_numbers_leaves_years_out_and_counts_each_once() -> None:
    gold = "In 2023 sales were $90.8 billion, 90,800 million, up 3% from $88 billion in 2022."
    assert number_recall("Sales grew by 3% to 90.8 billion in 2023.", gold) == pytest.approx(2 / 3)
    assert number_recall("2023, 2022", gold) == 0.0


def test_recall_of_facts_by_hand() -> None:
    assert fact_recall("The runway is 14 months, not 17.", ["14 months", "17 months"]) == 0.5
    assert fact_recall("It pays €68 per kWh to Hexalith.", ["Hexalith", "€68", "12%"]) == pytest.approx(2 / 3)
    assert fact_recall("category", ["cat"]) == 0.0
    assert math.isnan(fact_recall("x", []))


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("(B) Their subconscious knew", "B"),
        ("B", "B"),
        ("C. Because he left", "C"),
        ("D) no", "D"),
        ("The answer is A because", "A"),
        ("The answer is: (C)", "C"),
        ("A man came in", None),
        ("none of them", None),
        ("I think (E) fits", None),
    ],
)
def test_the_letter_of_a_choice(answer: str, letter: str | None) -> None:
    assert chosen_letter(answer) == letter

"""Index terms: what a query and a document must agree on."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.text.tokens import embedding_text, index_terms, proper_terms, query_terms, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("€3,240k", ["3240", "k"]),
        ("87.4%", ["87.4"]),
        ("Batch C-44, TB-0217", ["batch", "c", "44", "tb", "0217"]),
        ("gpt4", ["gpt", "4"]),
        ("running runs run", ["run", "run", "run"]),
        ("Sólheim", ["sólheim"]),
        ("the company's board’s", ["compani", "board"]),
        ("snake_case", ["snake", "case"]),
        ("what is the", []),
        ("?! — …", []),
        ("", []),
        ("1.2.3", ["1.2.3"]),
        ("end of 2026.", ["end", "2026"]),
    ],
)
def test_text_becomes_these_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("10-K or 10K", ["10k", "10k"]),
        ("Q3 of FY2022", ["q3", "fy2022"]),
        ("ACME_2024Q2_10Q", ["2024q", "10q", "q2"]),
        ("Batch C-44, TB-0217, 3M", ["3m", "c44", "tb0217"]),
        ("€3,240k at 87.4x", []),  # parts of longer numbers
        ("company12 1234567a", []),  # more than four letters, more than six digits
        ("10 K, Q 3", []),
        ("the third quarter", ["q3"]),
    ],
)
def test_codes_and_periods_follow_the_words(text: str, codes: list[str]) -> None:
    assert query_terms(text) == [*terms(text), *codes]


def test_a_chunk_is_found_by_its_text_and_twice_by_its_context() -> None:
    assert index_terms("Report › 10-K", "paid fees") == [*["report", "10", "k", "10k"] * 2, "paid", "fee"]
    assert embedding_text("Report › Costs", "paid") == "Report › Costs\npaid"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did Apple's customers pay in Q1 2023?", {"appl", "q", "1", "q1", "2023"}),
        ("customers of apple in 2023", {"custom", "appl", "2023"}),  # no capitals: all words
        ("Which customers of apple pay?", {"custom", "appl", "pay"}),  # every question begins with one
        ("the eBay deal", {"ebay"}),
        ("", set()),
    ],
)
def test_proper_terms_are_those_of_words_with_capitals_and_digits(text: str, expected: set[str]) -> None:
    assert proper_terms(text) == expected


@pytest.mark.parametrize("unit", ["1-a", "a9", "9", "a", "-", "1a1"])
def test_a_long_hostile_text_is_read_once(unit: str) -> None:
    assert all(query_terms(unit * 50_000))


@given(st.text())
def test_terms_survive_being_stored_as_one_line(text: str) -> None:
    found = query_terms(text)
    assert " ".join(found).split() == found
    assert all(found)


def test_composed_and_decomposed_letters_and_ligatures_are_one() -> None:
    text = "Zürich café ﬁnance"
    assert terms(unicodedata.normalize("NFC", text)) == terms("Zürich café finance")
    assert terms(unicodedata.normalize("NFD", text)) == terms("Zürich café finance")


@given(st.lists(st.sampled_from(["Cells", "price", "87.4", "44"])))
def test_case_and_order_of_words_give_the_same_terms_in_order(words: list[str]) -> None:
    assert terms(" ".join(words).upper()) == [term for word in words for term in terms(word)]

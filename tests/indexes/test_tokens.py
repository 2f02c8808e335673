"""Index terms: what a query and a document must agree on."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.tokens import terms


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


@given(st.text())
def test_terms_survive_being_stored_as_one_line(text: str) -> None:
    found = terms(text)
    assert " ".join(found).split() == found
    assert all(found)


def test_composed_and_decomposed_letters_and_ligatures_are_one() -> None:
    text = "Zürich café ﬁnance"
    assert terms(unicodedata.normalize("NFC", text)) == terms("Zürich café finance")
    assert terms(unicodedata.normalize("NFD", text)) == terms("Zürich café finance")


@given(st.lists(st.sampled_from(["Cells", "price", "87.4", "44"])))
def test_case_and_order_of_words_give_the_same_terms_in_order(words: list[str]) -> None:
    assert terms(" ".join(words).upper()) == [term for word in words for term in terms(word)]

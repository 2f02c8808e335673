"""Quotations in answers: which are verbatim, and what one that is not does to its sentence."""

import pytest

from pipeline.qa.grounding import find_quote
from tests.support.readings import READING, checked


@pytest.mark.parametrize(
    "quote",
    [
        "The liability cap is 12 million euros",
        "the liability cap is 12 million euros,",
        "it - unlike the warranty - ends in March 2031.",  # other dashes, other white space
        "it — unlike\nthe  warranty — ends in March 2031",
        "Marrowbay revenue rose to 13.7 million",
    ],
)
def test_a_quotation_may_differ_in_dashes_white_space_and_case_only(quote: str) -> None:
    assert find_quote(quote, READING).passage == 0


@pytest.mark.parametrize(
    "quote",
    [
        "The liability cap is 13 million euros",
        "The liability cap is 1",  # cut inside a number
        "Marrowbay revenue rose to 13",  # cut at a decimal point
        "bility cap is 12 million euros",  # cut inside a word
        "The liability cap was 12 million euros",
        "The cap is 12 million euros",
        "",
        "...",
    ],
)
def test_an_altered_quotation_is_not_verbatim(quote: str) -> None:
    assert find_quote(quote, READING).passage is None


def test_a_sentence_with_a_verbatim_quotation_is_supported() -> None:
    (sentence,) = checked('The memo says "the liability cap is 12 million euros" and ends in March 2031.')
    assert [quote.passage for quote in sentence.quotes] == [0]
    assert sentence.supported


def test_an_altered_quotation_takes_the_support_away() -> None:
    (sentence,) = checked("The liability cap is 12 million euros: “the liability cap was 12 million euros”.")
    assert sentence.supports
    assert [quote.passage for quote in sentence.quotes] == [None]
    assert not sentence.supported


def test_a_quotation_over_two_sentences_belongs_to_both() -> None:
    good, bad = "Revenue was 4.1 million euros in 2025. The patent dispute was settled in June.", " Not so."
    sentences = checked(f"It says “{good}”")
    assert [[quote.passage for quote in sentence.quotes] for sentence in sentences] == [[1], [1]]
    sentences = checked(f"It says “{good}{bad}”")
    assert not any(sentence.supported for sentence in sentences)


def test_words_between_two_short_quotations_are_no_quotation() -> None:
    (sentence,) = checked('The "cap" is a limit of 12 million euros on all "liability".')
    assert sentence.quotes == ()


def test_short_quotations_are_names_and_are_not_checked() -> None:
    (sentence,) = checked("The “patent dispute” was settled in June.")
    assert (sentence.quotes, sentence.supported) == ((), True)

"""Checked answers: what supports a sentence, what does not."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.encoders.embedding import Encoder, HashEncoder, Vectors
from pipeline.qa.grounding import COSINE, COVERAGE, MAX_CITATIONS, check_answer
from tests.support.readings import BRIGHTSEAM, QUESTION, READING, checked
from tests.support.records import document, passage


def _texts(answer: str) -> list[str]:
    return [sentence.text for sentence in checked(answer)]


SUPPORTED = {
    "verbatim": "Marrowbay revenue rose to 13.7 million euros in 2025.",
    "a paraphrase that keeps number, name and most words": "In 2025 the revenue of Marrowbay rose to 13.7 million.",
    "another inflection": "Marrowbay's revenues rose to 13.7 million euros.",
    "two sentences of the reading together": "Revenue was 4.1 million and the patent dispute was settled in June.",
    "the name stands in the heading": "Brightseam revenue was 4.1 million euros.",
    "a row of a table": "Orders in Q2 were 415.",
    "a row, with the header row beside it": "Quarter Q1 orders: 340.",
    "thousands with a comma": "The liability cap is 12 million euros.",
    "the model's own marker": "Marrowbay revenue rose to 13.7 million euros in 2025 [2].",
    "a marker after the stop": "Marrowbay revenue rose to 13.7 million euros in 2025. [2, 3]",
    "an abbreviation inside": "Dr. Ilse Vandermeer of Hexalith Ltd. supplies the battery cells.",
}


@pytest.mark.parametrize("answer", SUPPORTED.values(), ids=SUPPORTED.keys())
def test_what_stands_in_the_reading_is_supported(answer: str) -> None:
    assert [sentence.supported for sentence in checked(answer)] == [True]


UNSUPPORTED = {
    "a wrong number": "Marrowbay revenue rose to 14.7 million euros in 2025.",
    "a number of another sentence": "Marrowbay revenue rose to 12 million euros in 2025.",
    "a part of a number": "Marrowbay revenue rose to 3.7 million euros in 2025.",
    "a digit more": "Marrowbay revenue rose to 13.75 million euros in 2025.",
    "a wrong year": "Marrowbay revenue rose to 13.7 million euros in 2024.",
    "the number of another company": "Brightseam revenue was 13.7 million euros in 2025.",
    "the number of another company, turned around": "Marrowbay revenue was 4.1 million euros in 2025.",
    "a company that nothing names": "Quillhaven revenue rose to 13.7 million euros in 2025.",
    "another person": "Dr. Jan Vandermeer supplies the battery cells.",
    "a number from another row": "Orders in Q1 were 415.",
    "too few words in common": "Marrowbay expects strong headwinds from regulators and rivals.",
    "nothing in common": "The weather in Lisbon was pleasant.",
    "stop words only": "It is what it is.",
}


@pytest.mark.parametrize("answer", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_what_does_not_stand_in_the_reading_is_not_supported(answer: str) -> None:
    assert not any(sentence.supported for sentence in checked(answer))


def test_without_a_reading_nothing_is_supported() -> None:
    assert not any(sentence.supported for sentence in checked(SUPPORTED["verbatim"], reading=()))


@pytest.mark.parametrize("answer", ["", " \n\t ", "...", "[1]", "[1] [2].", "“”"])
def test_an_answer_without_words_has_no_sentences(answer: str) -> None:
    assert checked(answer) == []


def test_an_echo_of_the_question_is_no_answer() -> None:
    question = "Was Marrowbay revenue 13.7 million euros in 2025?"
    (echo,) = checked("Marrowbay revenue was 13.7 million euros in 2025.", question)
    assert (bool(echo.supports), echo.adds, echo.supported) == (True, False, False)
    (more,) = checked("Marrowbay revenue rose to 13.7 million euros in 2025.", question)
    assert more.supported


def test_a_sentence_said_again_counts_once() -> None:
    once = "The patent dispute was settled in June."
    assert _texts(f"{once} {once}\n{once} [1]") == [once]


# Places


def test_a_support_says_where_its_words_stand() -> None:
    (sentence,) = checked("Brightseam settled the patent dispute in June.")
    support = sentence.supports[0]
    assert support.passage == 1
    text = BRIGHTSEAM.text[support.start - 1000 : support.end - 1000]
    assert text.strip() == support.text == "The patent dispute was settled in June."


def test_of_equal_places_the_shortest_is_named() -> None:
    (sentence,) = checked("The patent dispute was settled in June.")
    assert sentence.supports[0].text == "The patent dispute was settled in June."


def test_places_do_not_overlap_and_are_few() -> None:
    row = "The patent dispute was settled in June."
    reading = [passage(f"{row} Nothing else was said.\n{row}\n", of=document(i)) for i in range(1, 6)]
    (sentence,) = checked(row, reading=reading)
    assert len(sentence.supports) == MAX_CITATIONS
    assert len({(s.passage, s.start) for s in sentence.supports}) == MAX_CITATIONS


def test_coverage_is_the_share_of_terms_that_are_there() -> None:
    reading = [passage("alpha beta gamma delta epsilon zeta eta")]
    (seven_of_ten,) = checked("alpha beta gamma delta epsilon zeta eta x y z", reading=reading)
    assert seven_of_ten.supports[0].coverage == pytest.approx(COVERAGE)
    (six_of_ten,) = checked("alpha beta gamma delta epsilon zeta v x y z", reading=reading)
    assert six_of_ten.supports == ()


class _Alike:
    """Finds any two texts to mean the same."""

    name = fingerprint = "alike"
    dimension = 1

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        return np.ones((len(texts), 1), dtype=np.float32)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self.encode([text])[0]
        return vector


def test_likeness_of_meaning_makes_up_for_words_but_not_for_numbers_or_names() -> None:
    reading = [passage("one two three four five six counted 7 with Marrowbay")]

    def supported(answer: str, encoder: Encoder | None = None) -> bool:
        (sentence,) = check_answer(answer, QUESTION, reading, encoder or _Alike())
        return sentence.supported

    half = "one two three four aa bb cc dd"  # 4 of 8 terms: too few alone, enough beside a cosine of 1
    assert supported(half)
    assert not checked(half, reading=reading)[0].supported
    assert not supported("one two three aa bb cc dd ee")  # 3 of 8 are never enough
    assert not supported("one two three four five six 8")
    assert not supported("one two three four five six Brightseam")
    unlike = "one two three four qq rr ss tt"
    vectors = HashEncoder().encode([unlike, reading[0].text])
    assert float(vectors[0] @ vectors[1]) < COSINE
    assert not supported(unlike, HashEncoder())


# One sentence's number and another one's words

ROWS = "quarter: Q1; orders: 340; revenue: 2.5\nquarter: Q2; orders: 415; revenue: 3.5\n"
YEARS = "Revenue in 2025 was 13.7 million euros. Revenue in 2024 was 9.2 million euros."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (ROWS, "The orders in Q1 were 415."),
        (ROWS, "The orders in Q2 were 340."),
        (ROWS, "In Q1 the orders were 340 and the revenue was 3.5."),
        (YEARS, "The revenue in 2024 was 13.7 million euros."),
        (YEARS, "The revenue in 2025 was 9.2 million euros."),
        ("Revenue rose to 13.7 million. The cap is 12 million.", "The revenue rose to 12 million."),
    ],
)
def test_neighbours_do_not_lend_each_other_numbers(text: str, answer: str) -> None:
    assert not any(sentence.supported for sentence in checked(answer, reading=[passage(text)]))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (ROWS, "The orders in Q1 were 340."),
        (ROWS, "The revenue in Q2 was 3.5."),
        (YEARS, "The revenue in 2025 was 13.7 million and in 2024 it was 9.2 million euros."),
        ("Orders were 340. They came from Ghent.", "The 340 orders came from ghent."),
        ("| Year | Orders |\n| --- | --- |\n| 2024 | 340 |\n| 2025 | 415 |", "Orders in 2025 were 415."),
        ("The fund grew in 2025. It holds 12 firms.", "In 2025 the fund grew and holds 12 firms."),
    ],
)
def test_neighbours_together_support_what_they_say_together(text: str, answer: str) -> None:
    assert [sentence.supported for sentence in checked(answer, reading=[passage(text)])] == [True]


# Sentences


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Revenue was 13.7 million. Costs were 2.", ["Revenue was 13.7 million.", "Costs were 2."]),
        ("Dr. Vandermeer left. Mr. Lund stayed.", ["Dr. Vandermeer left.", "Mr. Lund stayed."]),
        ("Hexalith Ltd. Ghent sells cells.", ["Hexalith Ltd. Ghent sells cells."]),
        ("Cells, e.g. LFP, are sold. J. Smith agreed.", ["Cells, e.g. LFP, are sold.", "J. Smith agreed."]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("Prose that is\nwrapped, with\n12 lines", ["Prose that is\nwrapped, with\n12 lines"]),
        ("- one\n- two\n3. three", ["- one", "- two", "3. three"]),
        ("year: 2024; fee: 1\nyear: 2025; fee: 2", ["year: 2024; fee: 1", "year: 2025; fee: 2"]),
        ("2024 3.1 4.2\n2025 5.1 6.2", ["2024 3.1 4.2", "2025 5.1 6.2"]),
        ("A paragraph\n\nand another", ["A paragraph", "and another"]),
        ("Is it? Yes! It is so.", ["Is it?", "Yes!", "It is so."]),
        ("It costs 5. €7 is more.", ["It costs 5.", "€7 is more."]),
        ("lower case. does not open a sentence", ["lower case. does not open a sentence"]),
        ("One.[1] Two [2]. Three.", ["One.", "Two.", "Three."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(answer: str, expected: list[str]) -> None:
    assert _texts(answer) == expected


# Whatever a model writes


@given(st.text(max_size=300))
def test_any_answer_can_be_checked(answer: str) -> None:
    for sentence in checked(answer):
        assert any(c.isalnum() for c in sentence.text)
        for support in sentence.supports:
            read = READING[support.passage]
            assert read.text[support.start - read.start : support.end - read.start].strip() == support.text


@given(st.integers(0, 10**6), st.sampled_from(["Marrowbay", "Brightseam"]))
def test_no_number_is_supported_that_its_company_does_not_have(number: int, company: str) -> None:
    (sentence,) = checked(f"{company} revenue was {number} million euros in 2025.")
    assert not sentence.supported  # the reading has only 13.7, 9.2 and 4.1, and a cap of 12 that is no revenue

"""The classifier of questions: its examples, its features by hand, its gradient against finite differences."""

from collections import Counter

import numpy as np
import pytest

from pipeline.qa.question_kind import (
    Example,
    Floats,
    KindClassifier,
    KindGuess,
    QuestionKind,
    examples,
    features,
    question_kind,
    shipped,
)


def test_every_kind_has_about_as_many_examples_and_none_twice() -> None:
    counts = Counter(example.kind for example in examples())
    assert set(counts) == set(QuestionKind)
    assert max(counts.values()) <= 1.4 * min(counts.values())
    assert len({example.question.lower() for example in examples()}) == sum(counts.values())


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who signed the rental contract?", QuestionKind.LOOKUP),
        ("When did the trial begin?", QuestionKind.LOOKUP),
        ("How does the first offer differ from the second?", QuestionKind.COMPARISON),
        ("Compare the fees of both banks.", QuestionKind.COMPARISON),
        ("List all contracts that mention a penalty.", QuestionKind.AGGREGATION),
        ("Which documents mention the old harbour?", QuestionKind.AGGREGATION),
        ("Why did the merger fall through?", QuestionKind.SYNTHESIS),
        ("Summarize the arguments of the defendant.", QuestionKind.SYNTHESIS),
        ("Is the option transferable?", QuestionKind.YES_NO),
        ("In the March report, does the bank mention a loss?", QuestionKind.YES_NO),
    ],
)
def test_plain_questions_that_are_no_examples_are_recognised(question: str, kind: QuestionKind) -> None:
    assert question not in {example.question for example in examples()}
    assert question_kind(question).kind is kind


@pytest.mark.parametrize("question", ["", "   ", "???"])
def test_a_question_without_words_is_a_lookup_of_no_probability(question: str) -> None:
    assert question_kind(question) == KindGuess(QuestionKind.LOOKUP, 0.0)


@pytest.mark.parametrize("question", ["犬", "xyzzy", "5 " * 500])
def test_unknown_words_are_guessed_with_a_probability(question: str) -> None:
    assert 0.0 < question_kind(question).probability < 1.0


def test_features_by_hand() -> None:
    assert features("Is it 5?") == [
        "is", "it", "#", "is it", "it #", "opens is", "opens is it", "opens AUX", "length 0",
    ]  # fmt: skip
    led_in = features("In June, did costs rise?")
    assert "opens did" in led_in
    assert "opens AUX" in led_in
    assert "compares" in led_in  # rise
    assert features("In sum: nothing.")[-1] == "length 0"
    assert "opens in" in features("In sum: nothing.")


def test_probabilities_of_a_separable_set_are_sure() -> None:
    learned = [Example("red apple", QuestionKind.LOOKUP), Example("red apple now", QuestionKind.LOOKUP)]
    learned += [Example("blue sky", QuestionKind.YES_NO), Example("blue sky now", QuestionKind.YES_NO)]
    classifier = KindClassifier(learned)
    assert classifier.guess("red apple").kind is QuestionKind.LOOKUP
    assert classifier.guess("blue sky").kind is QuestionKind.YES_NO
    assert classifier.guess("red apple").probability > 0.8


def test_training_ends_where_the_loss_is_least() -> None:
    classifier = shipped()
    known = examples()
    inputs = np.stack([classifier._vector(example.question) for example in known])
    wanted = [list(QuestionKind).index(example.kind) for example in known]

    def loss(weights: Floats) -> float:
        scores = inputs @ weights
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(len(wanted)), wanted].mean() + 0.0005 * (weights**2).sum())

    least = loss(classifier._weights)
    chance = np.random.default_rng(0)
    for _ in range(20):
        assert loss(classifier._weights + 0.02 * chance.standard_normal(classifier._weights.shape)) > least

"""What kind of question it is, by its words: a small logistic regression with its training data beside it.

lookup asks for one fact of one place, comparison sets things or times against each other, aggregation gathers from many
places, synthesis wants an explanation drawn together, and yes_no a yes or a no. `data/question_kinds.jsonl` holds the
examples that it learns from when it is first asked, a tenth of a second; they were written for the purpose.
docs/results.md has its accuracy, also on questions of others.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import Stemmer
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data" / "question_kinds.jsonl"
_WORD = re.compile(r"[^\W\d_]+|\d+")
_STEMS = Stemmer.Stemmer("english")
_AUXILIARIES = frozenset(
    "is are was were am be do does did has have had can could will would shall should may might must".split()
)
_ASKING = _AUXILIARIES | frozenset("what which who whom whose when where why how".split())
_LEADING_IN = frozenset("in from for based basing using on at of according among after during".split())
_LEXICONS = {
    "compares": "compare comparison differ difference different versus vs than contrast change trend evolve growth grow"
    " grew develop between relative higher lower more less faster better worse shift distinguish improve rise rose"
    " both",
    "gathers": "list all every each total sum average mean median count number enumerate name identify find highest"
    " lowest largest biggest combined overall give across many which any",
    "explains": "why explain describe summarize summarise summary discuss assess evaluate analyse analysis outline"
    " overview interpret elaborate role impact effect implication significance reason cause drive drove strategy"
    " conclusion lesson motivate characterise draft write factor",
}
# Of the regression: weight decay, steps of gradient descent with momentum, and how often a feature must be seen.
_DECAY, _STEPS, _RATE, _MOMENTUM, _LEAST_SEEN = 0.001, 300, 1.0, 0.9, 2
Floats: TypeAlias = "NDArray[np.float64]"


class QuestionKind(StrEnum):
    """The kinds, in the order of the classifier's ties."""

    LOOKUP = "lookup"
    COMPARISON = "comparison"
    AGGREGATION = "aggregation"
    SYNTHESIS = "synthesis"
    YES_NO = "yes_no"


_KINDS = list(QuestionKind)


@dataclass(frozen=True, slots=True)
class KindGuess:
    """The likeliest kind and the probability that the classifier gives it."""

    kind: QuestionKind
    probability: float


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its kind."""

    question: str
    kind: QuestionKind


def question_kind(question: str) -> KindGuess:
    """The kind of a question. One without words is a lookup of probability 0."""
    return shipped().guess(question)


@cache
def shipped() -> "KindClassifier":
    """The classifier that learned from the shipped examples."""
    return KindClassifier(examples())


def examples() -> list[Example]:
    """The shipped examples."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return [Example(row["question"], QuestionKind(row["kind"])) for row in map(json.loads, lines)]


def features(question: str) -> list[str]:
    """Stems, pairs of neighbours, how the question opens after a phrase that leads in, and words of three lexicons."""
    words = _WORD.findall(question.lower())
    if not words:
        return []
    stems = ["#" if word.isdigit() else _STEMS.stemWord(word) for word in words]
    begin = 0
    if words[0] in _LEADING_IN:
        begin = next((place for place, word in enumerate(words) if word in _ASKING), 0)
    opening, following = words[begin], words[begin + 1] if begin + 1 < len(words) else ""
    found = [*stems, *(f"{left} {right}" for left, right in pairwise(stems))]
    found += [f"opens {opening}", f"opens {opening} {'AUX' if following in _AUXILIARIES else following}"]
    found += ["opens AUX"] * (opening in _AUXILIARIES)
    found += [name for name, stemmed in _lexicons().items() if not stemmed.isdisjoint(stems)]
    found.append(f"length {min(3, len(words) // 5)}")
    return found


class KindClassifier:
    """Multinomial logistic regression on features that are there or not, each question's scaled to length 1."""

    def __init__(self, learned: Sequence[Example]) -> None:
        seen = Counter(feature for example in learned for feature in set(features(example.question)))
        often = [feature for feature, count in seen.items() if count >= _LEAST_SEEN]
        self._places = {feature: place for place, feature in enumerate(often)}
        inputs = np.stack([self._vector(example.question) for example in learned])
        wanted = np.eye(len(_KINDS))[[_KINDS.index(example.kind) for example in learned]]
        self._weights = np.zeros((len(often), len(_KINDS)))
        step = np.zeros_like(self._weights)
        for _ in range(_STEPS):
            slope = inputs.T @ (_softmax(inputs @ self._weights) - wanted) / len(learned) + _DECAY * self._weights
            step = _MOMENTUM * step - _RATE * slope
            self._weights += step

    def guess(self, question: str) -> KindGuess:
        """The likeliest kind; features that no two examples have say nothing."""
        vector = self._vector(question)
        if not vector.any():
            return KindGuess(QuestionKind.LOOKUP, 0.0)
        chances = _softmax(vector @ self._weights)
        best = int(chances.argmax())
        return KindGuess(_KINDS[best], float(chances[best]))

    def _vector(self, question: str) -> Floats:
        vector = np.zeros(len(self._places))
        for feature in set(features(question)):
            if feature in self._places:
                vector[self._places[feature]] = 1.0
        return vector / max(1.0, float(np.sqrt(vector.sum())))


@cache
def _lexicons() -> dict[str, frozenset[str]]:
    return {name: frozenset(map(_STEMS.stemWord, words.split())) for name, words in _LEXICONS.items()}


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))

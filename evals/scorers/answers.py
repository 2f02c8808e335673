"""Measures of an answer against a gold answer: exact match, F1 of words, numbers, key facts; unscored is NaN, not 0.

Exact match and F1 are SQuAD's (Rajpurkar et al., 2016, arXiv 1606.05250). Numbers count by value, not by how they are
written: 1,577 and $1.577 billion of a question in millions are the same once both are read in units.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "“”‘’–—")
_SCALES = {
    "thousand": 1e3, "k": 1e3, "million": 1e6, "millions": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9,
    "billions": 1e9, "bn": 1e9, "b": 1e9, "trillion": 1e12, "tn": 1e12,
}  # fmt: skip
# A sign, digits with thousands separators or without, and what follows at once; accountants write losses in brackets.
_NUMBER = re.compile(
    r"(?P<open>\()?(?P<currency>[$€£]\s?)?(?P<sign>[-−–])?\s?(?P<currency2>[$€£]\s?)?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:\s?(?P<percent>%|percent\b|per cent\b)|\s?(?P<scale>thousand|millions?|billions?|trillion|mn|bn|tn|[kmb])\b)?",
    re.IGNORECASE,
)
RELATIVE_ERROR = 0.01  # of two numbers that count as the same: gold answers are rounded
_SCALE_STEPS = (1.0, 1e3, 1e6, 1e9)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a text: its value in units, a share of 1 where it is a percentage."""

    value: float
    percent: bool
    scaled: bool


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: str) -> float:
    """1 where both are the same words; NaN without a gold answer."""
    wanted = normalised(gold)
    return float(normalised(answer) == wanted) if wanted else math.nan


def f1(answer: str, gold: str) -> float:
    """The harmonic mean of precision and recall of words, each as often as it stands; NaN without a gold answer."""
    found, wanted = normalised(answer).split(), normalised(gold).split()
    if not wanted:
        return math.nan
    common = sum((Counter(found) & Counter(wanted)).values())
    return 2 * common / (len(found) + len(wanted)) if common else 0.0


def numbers(text: str) -> list[Number]:
    """The numbers of a text. Years and other bare integers are numbers too; those inside words (Q3, 10-K) are not."""
    found = []
    for match in _NUMBER.finditer(text):
        before = text[match.start("digits") - 1] if match.start("digits") else " "
        after = text[match.end("digits")] if match.end("digits") < len(text) else " "
        if before.isalpha() or (after.isalpha() and not match["scale"] and not match["percent"]):
            continue
        if after == "-" and match.end("digits") + 1 < len(text) and text[match.end("digits") + 1].isalpha():
            continue
        value = float(match["digits"].replace(",", ""))
        bracketed = bool(match["open"]) and text[match.end() : match.end() + 1] == ")" and not match["percent"]
        at = match.start("sign")
        negative = bool(match["sign"]) and not (at and text[at - 1].isalnum())  # 3-5 is a range
        if negative or (bracketed and match["currency"]):
            value = -value
        value *= _SCALES.get((match["scale"] or "").lower(), 1.0)
        found.append(Number(value / 100 if match["percent"] else value, bool(match["percent"]), bool(match["scale"])))
    return found


def same_number(one: Number, other: Number) -> bool:
    """Whether two numbers are the same within RELATIVE_ERROR. Where one of them has no unit of scale, it may be in
    thousands, millions or billions, and a share may be written as a percentage or not."""
    if one.percent and other.percent:
        return _near(one.value, other.value)
    if one.percent or other.percent:
        share, bare = (one.value, other.value) if one.percent else (other.value, one.value)
        return _near(share, bare) or _near(share * 100, bare)
    if one.scaled == other.scaled:
        return _near(one.value, other.value)
    scaled, bare = (one.value, other.value) if one.scaled else (other.value, one.value)
    return any(_near(scaled, bare * step) for step in _SCALE_STEPS)


def numeric_match(answer: str, gold: str) -> float:
    """1 where the first number of the gold answer is among those of the answer; NaN where the gold has none."""
    wanted = numbers(gold)
    if not wanted:
        return math.nan
    return float(any(same_number(number, wanted[0]) for number in numbers(answer)))


def number_recall(answer: str, gold: str) -> float:
    """The share of the gold answer's different numbers, years left out, that the answer has; NaN without any."""
    wanted: list[Number] = []
    for number in numbers(gold):
        year = not number.scaled and not number.percent and 1900 <= number.value <= 2100 and number.value.is_integer()
        if not year and not any(same_number(number, other) for other in wanted):
            wanted.append(number)
    if not wanted:
        return math.nan
    found = numbers(answer)
    return sum(any(same_number(number, other) for other in found) for number in wanted) / len(wanted)


def fact_recall(answer: str, facts: Sequence[str]) -> float:
    """The share of key facts, each a few words, that stand in the answer in a row, normalised; NaN without any."""
    if not facts:
        return math.nan
    text = f" {normalised(answer)} "
    return sum(f" {normalised(fact)} " in text for fact in facts) / len(facts)


def chosen_letter(answer: str) -> str | None:
    """The letter of a multiple-choice answer such as "(B) …", "B." or "The answer is B"; None where there is none."""
    match = re.search(r"\(([A-D])\)|^\s*([A-D])(?:[.):]|\s*$)|\banswer is:? \(?([A-D])\b", answer)
    return next((group for group in match.groups() if group), None) if match else None


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RELATIVE_ERROR, abs_tol=1e-9)

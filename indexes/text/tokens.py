"""Text → index terms: lower-cased words and numbers, stop words out, stems by Snowball's English stemmer."""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from .periods import period_terms

# A number keeps its decimal point; letters and digits split at everything else.
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
# Numbers that touch a word of few letters, or are joined to it by a hyphen: Q3, FY2022, 10-K, C-44, 2024Q2.
# The first digit comes first, and all is bounded: found fast, and in linear time.
_THEN_LETTERS = re.compile(r"\d(?<!\d\d)\d{0,5}(-?[^\W\d_]{1,4})(?![^\W\d_])")
_AFTER_LETTERS = re.compile(r"\d(?:(?<=[^\W\d_]\d)|(?<=[^\W\d_]-\d))\d{0,5}(?!\d)")
_LETTERS = re.compile(r"(?<![^\W\d_])[^\W\d_]{1,4}-?$")
_DIGIT = re.compile(r"\d")
_CONTEXT_WEIGHT = 2
_STOP = frozenset(
    "a an and are as at be been but by can could did do does for from had has have how if in into is it its may might "
    "must no not of on or our shall should so than that the their them then there these they this those to us was we "
    "were what when where which who whom whose why will with would you your".split()
)


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=200_000)
def _term(raw: str) -> str:
    """The index term of a lower-cased word or number; nothing for a stop word."""
    if raw[0].isdigit():
        return raw.replace(",", "")
    word = raw.replace("’", "'").partition("'")[0]
    return "" if word in _STOP else str(_stemmer().stemWord(word))


def terms(text: str) -> list[str]:
    """Words and numbers of a text, in order. `€3,240k` gives `3240` and `k`; `87.4%` gives `87.4`.

    The text is first put into Unicode's form NFKC: composed and decomposed letters, and ligatures, are one.
    """
    return _terms_of(_folded(text))


def index_terms(context: str, text: str) -> list[str]:
    """What a chunk is found by: the terms of its text, and twice those of its context (folders, title, section)."""
    return query_terms(context) * _CONTEXT_WEIGHT + query_terms(text)


def query_terms(text: str) -> list[str]:
    """The terms of a text, then its codes and periods: `10-K` and `10K` give `10`, `k` and `10k`."""
    folded = _folded(text)
    return _terms_of(folded) + (_codes(folded) if _DIGIT.search(folded) else []) + period_terms(folded)


def proper_terms(text: str) -> frozenset[str]:
    """Terms of the words that look like names or numbers: with a capital letter or a digit in them.

    All terms where no word but the first has a capital, as in a question typed in small letters.
    """
    words = text.split()
    if not any(letter.isupper() for word in words[1:] for letter in word):
        return frozenset(query_terms(text))
    return frozenset(query_terms(" ".join(word for word in words if any(c.isupper() or c.isdigit() for c in word))))


def embedding_text(context: str, text: str) -> str:
    """What the encoder reads of a chunk."""
    return f"{context}\n{text}"


def _terms_of(folded: str) -> list[str]:
    return [term for term in map(_term, _WORD.findall(folded)) if term]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _codes(folded: str) -> list[str]:
    """A short number and the letters that follow it, and those before one; part of a longer number is none."""
    found = []
    for match in _THEN_LETTERS.finditer(folded):
        digits = folded[match.start() : match.start(1)]
        if folded[max(0, match.start() - 1) : match.start()] not in (".", ","):
            found.append(digits + match[1].lstrip("-"))
    for match in _AFTER_LETTERS.finditer(folded):
        letters = _LETTERS.search(folded, max(0, match.start() - 6), match.start())
        if letters:
            found.append(letters[0].rstrip("-") + match[0])
    return found

"""What counts as a value in a table's cell: numbers with their signs, dashes, and marks for "none"."""

import re
from functools import lru_cache

_NUMBER = r"[-–—−+~<>≤≥]?(?:US|C|A|HK)?[$€£¥₹]?[-–—−+]?(?:\d[\d,.'’]*|\.\d+)(?:%|x|×|bps|pts|[KMB])?"
_VALUE = re.compile(rf"[(\[]*{_NUMBER}[)\]%*†‡]*(?:\(\w{{1,2}}\))?|[-–—−]+%?|N/?[AM]|n/?[am]|NMF?|nmf?|\*{{1,3}}")
_MARK = re.compile(r"[$€£¥₹(\[]+|US\$|C\$|A\$")  # stands before its number, often at some distance
_TAIL = re.compile(r"[)%\]*†‡]+|\(\w{1,2}\)|pts\.?|bps|x")  # stands after its number
_YEAR = re.compile(r"(?:19|20)\d\d[A-Z]?(?:\(\w{1,2}\))?")


@lru_cache(maxsize=50_000)
def is_value(token: str) -> bool:
    """Whether a word stands for a value: `(5,053)`, `$1.28`, `4.2%`, `—`, `N/A`."""
    return _VALUE.fullmatch(token) is not None


def is_mark(token: str) -> bool:
    """Whether a word belongs to the number after it: `$`, `(`."""
    return _MARK.fullmatch(token) is not None


def is_tail(token: str) -> bool:
    """Whether a word belongs to the number before it: `%`, `)`."""
    return _TAIL.fullmatch(token) is not None


@lru_cache(maxsize=20_000)
def is_value_cell(text: str) -> bool:
    """Whether all words of a cell are values or belong to one, and one is more than a currency sign."""
    if text[:2].isalpha() and len(text) > 8:  # prose, at once
        return False
    words = text.split()
    return all(is_value(w) or is_mark(w) or is_tail(w) for w in words) and any(is_value(w) for w in words)


def is_year_cell(text: str) -> bool:
    """Whether the cell is a year, such as names a column."""
    return _YEAR.fullmatch(text) is not None

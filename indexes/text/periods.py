"""Quarters, years and months in words: one term for their spellings, and the latest of those that a name tells."""

import re
from collections.abc import Iterable, Mapping

_QUARTERS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_QUARTER = re.compile(rf"\b({'|'.join(_QUARTERS)}) (?:fiscal )?quarter\b")
_SHORT = re.compile(r"\b(?:q([1-4])|([1-4])q)['’]?(20)?(\d\d)(?!\d)")  # Q22023, Q2'23, 2Q23
_FISCAL = re.compile(r"\bfy ?['’]?(\d\d)(?!\d)")

_YEAR_QUARTER = re.compile(r"(?<!\d)((?:19|20)\d\d)[\W_]{0,2}q([1-4])(?!\d)")
_QUARTER_YEAR = re.compile(r"(?<![^\W_])q([1-4])[\W_]{0,2}(?:fy)?[\W_]?((?:19|20)\d\d)(?!\d)")
_MONTH_YEAR = re.compile(
    rf"\b({'|'.join(_MONTHS)})[a-z]{{0,6}}\.?[\W_]{{1,3}}(?:\d{{1,2}}\W{{1,3}})?((?:19|20)\d\d)(?!\d)"
)
_YEAR_MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)-(0[1-9]|1[0-2])(?!\d)")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")

_LATEST = re.compile(r"\b(?:latest|newest|most recent)\b")

Month = tuple[int, int]  # year and month; a quarter is its last month, and a bare year has month 0


def period_terms(folded: str) -> list[str]:
    """Terms for the quarters and years of a lower-cased text that its words do not give: `third quarter` gives `q3`,
    `2Q23` gives `q2` and `2023`, `FY22` gives `2022`."""
    found = [f"q{_QUARTERS[match[1]]}" for match in _QUARTER.finditer(folded)] if "quarter" in folded else []
    for match in _SHORT.finditer(folded):
        found.extend([f"q{match[1] or match[2]}", f"20{match[4]}"])
    found.extend(f"20{match[1]}" for match in _FISCAL.finditer(folded))
    return found


def asks_for_latest(query: str) -> bool:
    """Whether a question is about the latest of something."""
    return _LATEST.search(query.lower()) is not None


def latest(names: Mapping[int, str]) -> set[int]:
    """The ids of the names that tell the latest period of all; none where no name tells one."""
    told = {i: max(months) for i, name in names.items() if (months := list(_months(name.lower())))}
    return {i for i, month in told.items() if month == max(told.values())}


def _months(name: str) -> Iterable[Month]:
    for match in _YEAR_QUARTER.finditer(name):
        yield int(match[1]), 3 * int(match[2])
    for match in _QUARTER_YEAR.finditer(name):
        yield int(match[2]), 3 * int(match[1])
    for match in _MONTH_YEAR.finditer(name):
        yield int(match[2]), _MONTHS.index(match[1]) + 1
    for match in _YEAR_MONTH.finditer(name):
        yield int(match[1]), int(match[2])
    for match in _YEAR.finditer(name):
        yield int(match[1]), 0

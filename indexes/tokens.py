"""Text → index terms: lower-cased words and numbers, stop words out, stems by Snowball's English stemmer."""

import re
import unicodedata
from functools import lru_cache
from typing import Any

# A number keeps its decimal point; letters and digits split at everything else.
_TERM = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
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
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def terms(text: str) -> list[str]:
    """Index terms of a text, in order. `€3,240k` gives `3240` and `k`; `87.4%` gives `87.4`.

    The text is first put into Unicode's form NFKC: composed and decomposed letters, and ligatures, are one.
    """
    found: list[str] = []
    for raw in _TERM.findall(unicodedata.normalize("NFKC", text).lower()):
        if raw[0].isdigit():
            found.append(raw.replace(",", ""))
        else:
            word = raw.replace("’", "'").split("'")[0]
            if word not in _STOP:
                found.append(_stem(word))
    return found

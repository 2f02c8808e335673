"""Names of documents as evidence: which document a question asks for, and which others a passage speaks of."""

import math
from collections import Counter
from collections.abc import Mapping, Set
from functools import lru_cache

from ..text.tokens import query_terms

_POWER = 3  # a part counts little, half 1/8: words that many names share name none of them


@lru_cache(maxsize=20_000)
def _name_terms(name: str) -> frozenset[str]:
    return frozenset(query_terms(name))


class Names:
    """The names of some documents by their ids. A term weighs the more, the fewer of these documents' names hold it."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._terms = {document: _name_terms(name) for document, name in names.items()}
        holding = Counter(term for name in self._terms.values() for term in name)
        total = len(self._terms)
        self._weights = {term: math.log1p((total - n + 0.5) / (n + 0.5)) for term, n in holding.items()}
        self._whole = {i: self._weight(name) for i, name in self._terms.items()}

    def asked(self, said: Set[str]) -> dict[int, float]:
        """For each document, the share of the names' words in `said` that its name holds, sharpened, in [0, 1].

        `2023 Q1 AAPL` holds all of "q1 2023" and `2023 Q2 AAPL` a part; a word of no name counts for none.
        """
        whole = self._weight(said)
        return {i: self._share(name & said, whole) for i, name in self._terms.items()}

    def named(self, said: Set[str]) -> dict[int, float]:
        """For each document, the share of its name that is in `said`, sharpened, in [0, 1]."""
        return {i: self._share(name & said, self._whole[i]) for i, name in self._terms.items()}

    def _share(self, some: Set[str], whole: float) -> float:
        return (self._weight(some) / whole) ** _POWER if whole else 0.0

    def _weight(self, some: Set[str]) -> float:
        # fsum: the order of a set differs from process to process, and the sum must not
        return math.fsum(self._weights.get(term, 0.0) for term in some)

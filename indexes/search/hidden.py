"""Hidden text searched by words on request: it is outside every index, so it is ranked anew for each query."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..documents import Document, HiddenText
from ..segments.lexical import RankBM25Index
from ..text.tokens import query_terms


@dataclass(frozen=True, slots=True)
class HiddenHit:
    """Hidden text that shares words with a query, with its document."""

    document: Document
    hidden: HiddenText
    score: float


def search_hidden(
    texts: Sequence[tuple[int, int, HiddenText]], query: str, k: int
) -> list[tuple[int, HiddenText, float]]:
    """Document id, text and score of at most k of these texts (id, document id, text), best first by BM25.

    Ties keep the order of the texts.
    """
    index = RankBM25Index([row[0] for row in texts], [query_terms(row[2].text) for row in texts])
    found = {row[0]: row for row in texts}
    hits = index.search(dict.fromkeys(query_terms(query), 1.0), k)
    return [(row[1], row[2], hit.score) for hit in hits if (row := found[hit.chunk_id])]

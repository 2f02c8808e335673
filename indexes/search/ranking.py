"""Queries and results: modes, limits of a question, and documents ranked by the evidence of their chunks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..documents import DocumentHit, Hit
from ..errors import QueryError

MAX_QUERY_CHARACTERS = 4_000
_EVIDENCE_DECAY = 0.5  # a document's second chunk counts half, its third a quarter
_EVIDENCE_CHUNKS = 3


class SearchMode(StrEnum):
    """Which indexes rank: both fused, words (BM25) or meaning (vectors)."""

    HYBRID = "hybrid"
    LEXICAL = "lexical"
    DENSE = "dense"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Chunks and documents for a query, each best first, and the mode that ranked them."""

    query: str
    mode: SearchMode
    hits: tuple[Hit, ...]
    documents: tuple[DocumentHit, ...]


def check_query(query: str, k: int = 1) -> None:
    """Raises QueryError for a query without a word or beyond MAX_QUERY_CHARACTERS, and for k below 1."""
    if k < 1:
        raise QueryError(f"k must be at least 1, got {k}", "leave -k out for the default")
    if not query.strip():
        raise QueryError("the question is empty", 'write it in quotes: "What is …?"')
    if not any(letter.isalnum() for letter in query):
        raise QueryError(f"the question {query[:40]!r} holds no word", 'write it in quotes: "What is …?"')
    if len(query) > MAX_QUERY_CHARACTERS:
        raise QueryError(
            f"the question has {len(query):,} characters; at most {MAX_QUERY_CHARACTERS:,} are taken",
            "put long material into a document and index it, then ask about it",
        )


def rank_documents(hits: Sequence[Hit]) -> tuple[DocumentHit, ...]:
    """Documents by the sum of their best three chunks' scores, weighted 1, ½, ¼; ties keep the hits' order."""
    grouped: dict[int, list[Hit]] = {}
    for hit in hits:
        grouped.setdefault(hit.document.id, []).append(hit)
    ranked = []
    for group in grouped.values():
        score = sum(hit.score * _EVIDENCE_DECAY**i for i, hit in enumerate(group[:_EVIDENCE_CHUNKS]))
        ranked.append(DocumentHit(group[0].document, score, tuple(group)))
    return tuple(sorted(ranked, key=lambda item: -item.score))

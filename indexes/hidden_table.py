"""Hidden text in a collection: kept beside the documents, outside every index, and searched by words on request."""

from collections.abc import Iterable
from dataclasses import dataclass

from .database import Database
from .documents import Document, HiddenText
from .lexical import RankBM25Index
from .sealing import HIDDEN, insert, read
from .tokens import query_terms


@dataclass(frozen=True, slots=True)
class HiddenHit:
    """Hidden text that shares words with a query, with its document."""

    document: Document
    hidden: HiddenText
    score: float


class HiddenTable:
    """The table `hidden` of one connection; rows are compared with their checksums as they are read."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, document_id: int, items: Iterable[HiddenText]) -> None:
        """Stores what a document's reader does not see, in its order."""
        first = int(self._db.rows("SELECT coalesce(max(id), 0) + 1 FROM hidden")[0][0])
        insert(
            self._db,
            HIDDEN,
            ((first + n, document_id, item.reason, item.text, item.page) for n, item in enumerate(items)),
        )

    def drop(self, document_id: int) -> None:
        self._db.rows("DELETE FROM hidden WHERE document_id = ?", (document_id,))

    def search(self, query: str, k: int) -> list[tuple[int, HiddenText, float]]:
        """Document id, text and score of at most k hidden texts, best first by BM25; ties in the order of documents."""
        rows = read(self._db, HIDDEN, "ORDER BY id")
        index = RankBM25Index([row[0] for row in rows], [query_terms(row[3]) for row in rows])
        found = {row[0]: row for row in rows}
        hits = index.search(dict.fromkeys(query_terms(query), 1.0), k)
        return [(row[1], HiddenText(*row[2:5]), hit.score) for hit in hits if (row := found[hit.chunk_id])]

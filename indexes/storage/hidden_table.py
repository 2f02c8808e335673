"""Hidden text in a collection: kept beside the documents and outside every index."""

from collections.abc import Iterable

from ..documents import HiddenText
from .database import Database
from .sealing import HIDDEN, insert, read


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

    def all(self) -> list[tuple[int, int, HiddenText]]:
        """Id, document id and text of every hidden text, in the order of documents."""
        return [(row[0], row[1], HiddenText(*row[2:5])) for row in read(self._db, HIDDEN, "ORDER BY id")]

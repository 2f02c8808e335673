"""One state of a collection as ranking sees it: both indexes, and vectors, documents and texts of what they find."""

from collections.abc import Collection, Mapping, Sequence

from .chunking import document_name
from .dense import best, vectors_of
from .documents import Document
from .embedding import Encoder, Vectors
from .lexical import Scored
from .retrieval import Origin
from .store import Store
from .view import IndexView


class CollectionSearch:
    """Implements `Searchable` over a store and its indexes. Its user holds a snapshot of the store."""

    def __init__(self, store: Store, view: IndexView, encoder: Encoder | None) -> None:
        self._store = store
        self._view = view
        self._encoder = encoder
        self._documents: dict[int, Document] = {}

    def lexical(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        return self._view.lexical.search(weights, k)

    def dense(self, vector: Vectors, k: int) -> list[Scored]:
        return best(self._view.dense, vector, k)

    def encode_query(self, text: str) -> Vectors:
        assert self._encoder is not None, "a collection without vectors is searched by words"
        return self._encoder.encode_query(text)

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        return vectors_of(self._view.dense, chunk_ids)

    def origins(self, chunk_ids: Sequence[int]) -> Mapping[int, Origin]:
        owners = self._store.owners(chunk_ids)
        documents = self.documents(set(owners.values()))
        origins = {i: Origin(i, document_name(document.name, document.title)) for i, document in documents.items()}
        return {chunk_id: origins[owner] for chunk_id, owner in owners.items()}

    def text(self, chunk_id: int) -> str:
        return self._store.chunks([chunk_id])[chunk_id].text

    def documents(self, ids: Collection[int]) -> dict[int, Document]:
        """Documents by id, each read once; their paths are as they are stored."""
        self._documents.update(self._store.documents_of(set(ids) - self._documents.keys()))
        return {i: self._documents[i] for i in ids}

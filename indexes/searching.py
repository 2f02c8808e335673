"""One state of a collection as ranking sees it: both indexes, and vectors and texts of what they find."""

from collections.abc import Mapping, Sequence

from .chunking import document_name
from .dense import best, vectors_of
from .embedding import Encoder, Vectors
from .lexical import Scored
from .retrieval import Passage
from .store import Store
from .view import IndexView


class CollectionSearch:
    """Implements `Searchable` over a store and its indexes. Its user holds a snapshot of the store."""

    def __init__(self, store: Store, view: IndexView, encoder: Encoder | None) -> None:
        self._store = store
        self._view = view
        self._encoder = encoder

    def lexical(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        return self._view.lexical.search(weights, k)

    def dense(self, vector: Vectors, k: int) -> list[Scored]:
        return best(self._view.dense, vector, k)

    def encode_query(self, text: str) -> Vectors:
        assert self._encoder is not None, "a collection without vectors is searched by words"
        return self._encoder.encode_query(text)

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        return vectors_of(self._view.dense, chunk_ids)

    def passages(self, chunk_ids: Sequence[int]) -> Mapping[int, Passage]:
        chunks = self._store.chunks(chunk_ids).values()
        documents = self._store.documents_of({chunk.document_id for chunk in chunks})
        names = {i: document_name(document.name, document.title) for i, document in documents.items()}
        return {
            chunk.id: Passage(chunk.document_id, chunk.ordinal, chunk.context, chunk.text, names[chunk.document_id])
            for chunk in chunks
        }

"""One state of a collection as ranking sees it: both indexes, and vectors, documents and texts of what they find."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..documents import Document
from ..encoders.embedding import Encoder, Vectors
from ..errors import CollectionBrokenError, IndexesError
from ..segments.dense import best, vectors_of
from ..segments.lexical import Scored
from ..segments.segment import FOLDER
from ..storage.store import Store
from ..text.chunking import document_name
from .retrieval import Origin
from .view import IndexView


class CollectionSearch:
    """Implements `Searchable` over a store and its indexes. Its user holds a snapshot of the store."""

    def __init__(self, store: Store, view: IndexView, encoder: Encoder | None) -> None:
        self._store = store
        self._view = view
        self._encoder = encoder
        self._documents: dict[int, Document] = {}

    def lexical(self, weights: Mapping[str, float], k: int) -> list[Scored]:
        with _readable(self._store):
            return self._view.lexical.search(weights, k)

    def dense(self, vector: Vectors, k: int) -> list[Scored]:
        with _readable(self._store):
            return best(self._view.dense, vector, k)

    def encode_query(self, text: str) -> Vectors:
        assert self._encoder is not None, "a collection without vectors is searched by words"
        return self._encoder.encode_query(text)

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        with _readable(self._store):
            return vectors_of(self._view.dense, chunk_ids)

    def origins(self, chunk_ids: Sequence[int]) -> Mapping[int, Origin]:
        owners = self._store.owners(chunk_ids)
        documents = self.documents(set(owners.values()))
        origins = {i: Origin(i, document_name(document.name, document.title)) for i, document in documents.items()}
        return {chunk_id: origins[owner] for chunk_id, owner in owners.items() if owner in origins}

    def text(self, chunk_id: int) -> str:
        found = self._store.chunks([chunk_id])
        return found[chunk_id].text if chunk_id in found else ""

    def documents(self, ids: Collection[int]) -> dict[int, Document]:
        """Documents by id, each read once, those that are gone left out; their paths are as they are stored."""
        self._documents.update(self._store.documents_of(set(ids) - self._documents.keys()))
        return {i: self._documents[i] for i in ids if i in self._documents}


@contextmanager
def _readable(store: Store) -> Iterator[None]:
    """Raises CollectionBrokenError where an index file that was not compared with its checksum turns out damaged."""
    try:
        yield
    except IndexesError:
        raise
    except Exception as error:  # NumPy and FAISS raise many kinds
        found = " ".join(str(error).split())[:200]
        raise CollectionBrokenError(
            f"index files of the collection {store.folder} are damaged: {type(error).__name__} {found}",
            f"delete {store.folder / FOLDER} and run `fathom index` again: the database makes them anew",
        ) from error

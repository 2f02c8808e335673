"""The collection: a folder `.fathom/` that holds the index of some documents and answers searches."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .documents import Chunk, Document, FileRecord, FileState, Heading, Hit, IndexReport, Page, Place
from .encoders.embedding import BUNDLED, NONE, Encoder, make_encoder
from .errors import CollectionMissingError, EncoderError
from .files.locking import writing
from .files.places import Places
from .ingest.discovery import Walk, walk, walk_again
from .ingest.run import IndexRun, RunSettings
from .ingest.writer import IndexProgress
from .search.hidden import HiddenHit, search_hidden
from .search.ranking import SearchMode, SearchResult, check_query, rank_documents
from .search.reranking import Reranker, reranked
from .search.retrieval import Fused, retrieve
from .search.searching import CollectionSearch
from .search.view import IndexView, StaleError, open_view
from .segments.compaction import Compaction
from .segments.integrity import Damage, check
from .stats import CollectionStats, stats_of
from .storage.database import broken
from .storage.opening import FOLDER, find_collection
from .storage.store import Store

__all__ = ["CANDIDATES", "FOLDER", "Collection", "CollectionStats", "find_collection"]

CANDIDATES = 100  # how deep each index is read before fusion
_FINGERPRINT = "model"  # key in the store's meta of the model that made the vectors
_ATTEMPTS = 5  # at a snapshot whose index files no writer replaces meanwhile


class Collection:
    """An open collection. Searching never writes but for index files, which are caches."""

    def __init__(self, store: Store, encoder_for: Callable[[str], Encoder | None] = make_encoder) -> None:
        self._store = store
        self._places = Places(store.folder)
        self._encoder_for = encoder_for
        self._encoder: Encoder | None = None
        self._model_checked = False
        self._view: IndexView | None = None

    @classmethod
    def open(cls, folder: Path, encoder_for: Callable[[str], Encoder | None] = make_encoder) -> "Collection":
        """The collection in a folder, which this user made or trusts. Raises CollectionError and its kinds."""
        return cls(Store.open(folder), encoder_for)

    @classmethod
    def open_or_create(
        cls,
        folder: Path,
        embedding: str | None = None,
        encoder_for: Callable[[str], Encoder | None] = make_encoder,
    ) -> "Collection":
        """The collection in a folder, made if there is none.

        Raises EncoderError where it exists with another embedding model than the one asked for.
        """
        try:
            store = Store.open(folder)
        except CollectionMissingError:
            name = embedding or BUNDLED
            encoder_for(name)  # a model that is not there must not leave an empty collection behind
            store = Store.create(folder, name)
        collection = cls(store, encoder_for)
        if embedding is not None and embedding != collection.embedding:
            made_with = collection.embedding
            collection.close()
            raise EncoderError(
                f"the collection {folder} was made with the embedding {made_with!r}, not {embedding!r}",
                "leave --embedding out, or index into another folder with --collection",
            )
        return collection

    def close(self) -> None:
        self._store.close()

    @property
    def folder(self) -> Path:
        return self._store.folder

    @property
    def embedding(self) -> str:
        """Name of the embedding model that made the vectors, or "none"."""
        return self._store.embedding

    @property
    def trusted(self) -> bool:
        """Whether the collection was made elsewhere and accepted by name."""
        return self._store.trusted

    @property
    def unread(self) -> int:
        """Documents of a trusted collection whose text its sender wrote, until a run reads their files."""
        return self._store.shipped_count()

    @property
    def encoder(self) -> Encoder | None:
        """The encoder of this collection's vectors, made when first asked for; None without vectors."""
        if self._encoder is None and self.embedding != NONE:
            self._encoder = self._encoder_for(self.embedding)
        return self._encoder

    def add(
        self,
        paths: Iterable[Path],
        settings: RunSettings | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IndexReport:
        """Indexes what is new or changed below the paths and forgets what is gone from the folders among them.

        Raises NothingToIndexError before anything is changed, CollectionBusyError while another process writes.
        """
        found = walk(paths, follow_links=settings is not None and settings.follow_links)
        return self._run(found, settings or RunSettings(), on_progress)

    def retry_failed(
        self,
        settings: RunSettings | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IndexReport:
        """Tries the files again that failed, and nothing else. Raises CollectionBusyError."""
        settings = replace(settings or RunSettings(), retry_failed=True)
        failed = ((self._places.real(file.path), file.name) for file in self.files() if file.state is FileState.FAILED)
        return self._run(walk_again(failed, settings.follow_links), settings, on_progress)

    def _run(self, found: Walk, settings: RunSettings, on_progress: Callable[[IndexProgress], None]) -> IndexReport:
        with writing(self._store.home):
            self._claim_model()
            return IndexRun(self._store, self.encoder, self._places.stored, settings, on_progress).run(found)

    def _claim_model(self) -> None:
        """Records which model makes the vectors, the first time. Raises EncoderError where it is another one."""
        if self.encoder is not None and self._model() is None:
            self._store.set_meta(_FINGERPRINT, self.encoder.fingerprint)
        self._check_model()

    def _check_model(self) -> None:
        """Raises EncoderError where the encoder's model is not the one that made the vectors."""
        if self._model_checked or self.encoder is None or (made_by := self._model()) is None:
            return
        if made_by != self.encoder.fingerprint:
            raise EncoderError(
                f"the embedding model {self.embedding!r} is not the one that the collection {self.folder} was made"
                " with: its files have changed",
                "restore the model, or index into a new collection with --collection",
            )
        self._model_checked = True

    def _model(self) -> str | None:
        try:
            return self._store.meta(_FINGERPRINT)
        except KeyError:
            return None

    def remove(self, paths: Iterable[Path]) -> list[str]:
        """Takes files, and all files below folders, out of the collection; returns their names.

        The files themselves are not touched and need not exist any more. Indexing their folder brings them back.
        After a run that was killed the same call finishes it. Raises NothingToRemoveError, with nothing changed, where
        a path matches no file of the collection.
        """
        with writing(self._store.home):
            records = self._store.files()
            known = {record.path for record in records}
            begun = [_removed(path, name) for path, name in self._store.removing().items() if path not in known]
            chosen = self._places.matching([*records, *begun], paths)
            self._store.remove_all(record for record in chosen if record.path in known)
            compaction = Compaction(self._store)
            compaction.clear()
            compaction.settle()
        return [record.name for record in chosen]

    def verify(self) -> list[Damage]:
        """What is wrong with the collection's files; every byte is read."""
        return check(self._store)

    def notes(self) -> dict[str, list[str]]:
        """What of a document's file is not in its text, by the path of its file as `files` gives it."""
        return self._store.all_notes()

    def stats(self) -> CollectionStats:
        """Counts for `fathom status`."""
        return stats_of(self._store)

    def files(self) -> list[FileRecord]:
        """Every file that a run has seen, by path."""
        return self._store.files()

    def documents(self) -> list[Document]:
        """Every document by name, with absolute paths."""
        return [self._places.resolved(document) for document in self._store.documents()]

    def text(self, document_id: int) -> str:
        """The whole text of a document. Raises KeyError for an unknown id."""
        return self._store.text(document_id)

    def structure(self, document_id: int) -> tuple[list[Page], list[Heading]]:
        """Pages and headings of a document. Raises KeyError for an unknown id."""
        return self._store.structure(document_id)

    def chunks_of(self, document_id: int) -> list[Chunk]:
        """All chunks of a document in order."""
        return self._store.chunks_of(document_id)

    def section_chunks(self, document_id: int, offset: int) -> list[Chunk]:
        """The run of chunks with one section around a character; none beyond the end and where there is no section."""
        return self._store.section_chunks(document_id, offset)

    def place(self, document_id: int, start: int, end: int) -> Place:
        """Section and pages of the characters `[start, end)` of a document. Raises KeyError for an unknown id."""
        within = max(end, start + 1)
        pages = [page for page in self.structure(document_id)[0] if page.start < within and start < page.end]
        first, last = (pages[0].number, pages[-1].number) if pages else (None, None)
        return Place(self._store.section_at(document_id, start), first, last)

    def default_mode(self) -> SearchMode:
        """Hybrid where the collection has vectors, else lexical."""
        return SearchMode.LEXICAL if self.embedding == NONE else SearchMode.HYBRID

    def search(
        self, query: str, k: int = 10, mode: SearchMode | None = None, reranker: Reranker | None = None
    ) -> SearchResult:
        """The k best chunks and the documents of the best CANDIDATES chunks, the best ones in a reranker's order.

        Raises QueryError for an empty or overlong query, EncoderError for a mode that needs vectors which
        the collection does not have, or a reranker that cannot be loaded.
        """
        check_query(query, k)
        mode = mode or self.default_mode()
        if mode is not SearchMode.LEXICAL and self.encoder is None:
            raise EncoderError(
                f"the collection {self.folder} was indexed without vectors",
                "search with --mode lexical, or index into another collection with an --embedding",
            )
        if mode is not SearchMode.LEXICAL:
            self._check_model()
        depth = max(CANDIDATES, k)
        with self._current(vectors=mode is not SearchMode.LEXICAL) as searchable:
            hits = self._hits(retrieve(query, searchable, mode, depth), searchable)
        if reranker is not None:
            hits = reranked(query, hits, reranker)
        return SearchResult(query, mode, tuple(hits[:k]), rank_documents(hits))

    def search_hidden(self, query: str, k: int = 10) -> list[HiddenHit]:
        """The k best texts that readers of the files do not see, by words alone. Raises QueryError as `search`."""
        check_query(query, k)
        with self._store.snapshot():
            found = search_hidden(self._store.hidden.all(), query, k)
            documents = self._store.documents_of({document_id for document_id, _, _ in found})
        return [HiddenHit(self._places.resolved(documents[owner]), text, score) for owner, text, score in found]

    def _hits(self, ranked: list[Fused], searchable: CollectionSearch) -> list[Hit]:
        chunks = self._store.chunks([item.chunk_id for item in ranked])
        found = searchable.documents({chunk.document_id for chunk in chunks.values()})
        if lost := {chunk.document_id for chunk in chunks.values()} - found.keys():
            raise broken(self.folder, f"a chunk belongs to document {min(lost)}, which is not there")
        documents = {i: self._places.resolved(document) for i, document in found.items()}
        return [
            Hit(
                chunk,
                documents[chunk.document_id],
                item.score,
                item.lexical_rank,
                item.dense_rank,
                item.lexical_score,
                item.dense_score,
            )
            for item in ranked
            if (chunk := chunks.get(item.chunk_id)) is not None
        ]

    @contextmanager
    def _current(self, vectors: bool) -> Iterator[CollectionSearch]:
        """The collection as it is now, for searching; everything in the block is of one state."""
        for attempt in range(_ATTEMPTS):
            with self._store.snapshot():
                view = self._view
                try:
                    if view is None or view.generation != self._store.generation or (vectors and not view.vectors):
                        view = self._view = open_view(self._store, attempt == _ATTEMPTS - 1, vectors)
                except StaleError:
                    continue
                yield CollectionSearch(self._store, view, self.encoder if vectors else None)
                return


def _removed(path: str, name: str) -> FileRecord:
    """A file whose removal was begun."""
    return FileRecord(path, name, FileState.INDEXED, "", "", 0, None)

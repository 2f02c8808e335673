"""The collection: a folder `.fathom/` that holds the index of some documents and answers searches."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from . import fusion
from .chunking import ChunkSizes
from .dense import DenseIndex
from .documents import Chunk, Document, FileRecord, FileState, Heading, Hit, IndexReport, Page, Place
from .embedding import BUNDLED, NONE, Encoder, make_encoder
from .errors import (
    CollectionBusyError,
    CollectionMissingError,
    EncoderError,
    QueryError,
)
from .indexing import IndexProgress, IndexRun
from .lexical import LexicalIndex, RankBM25Index, Scored
from .loaders import LoadLimits
from .ranking import SearchMode, SearchResult, check_query, rank_documents
from .store import DATABASE, Store
from .walking import printable, walk

FOLDER = ".fathom"
CANDIDATES = 100  # how deep each index is read before fusion


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """What a collection holds."""

    folder: str
    embedding: str
    generation: int
    documents: int
    chunks: int
    characters: int
    files: dict[str, int]


def find_collection(start: Path) -> Path | None:
    """The nearest `.fathom/` with a database in a folder or above it, as git finds a repository."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FOLDER / DATABASE).is_file():
            return folder / FOLDER
    return None


class Collection:
    """An open collection. Searching never writes but for index files, which are caches."""

    def __init__(self, store: Store, encoder_for: Callable[[str], Encoder | None] = make_encoder) -> None:
        self._store = store
        self._encoder_for = encoder_for
        self._encoder: Encoder | None = None
        self._lexical: tuple[int, LexicalIndex] | None = None
        self._dense: tuple[int, DenseIndex] | None = None

    @classmethod
    def open(cls, folder: Path, encoder_for: Callable[[str], Encoder | None] = make_encoder) -> "Collection":
        """The collection in a folder. Raises CollectionMissingError, -VersionError or -BrokenError."""
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
        return self._store.meta("embedding")

    @property
    def encoder(self) -> Encoder | None:
        """The encoder of this collection's vectors, made when first asked for; None without vectors."""
        if self._encoder is None and self.embedding != NONE:
            self._encoder = self._encoder_for(self.embedding)
        return self._encoder

    def add(
        self,
        paths: Iterable[Path],
        limits: LoadLimits | None = None,
        sizes: ChunkSizes | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IndexReport:
        """Indexes what is new or changed below the paths and forgets what is gone from the folders among them.

        Raises NothingToIndexError before anything is changed, CollectionBusyError while another process writes.
        """
        found = walk(paths)
        with self._writing():
            run = IndexRun(
                self._store,
                self.encoder,
                self._to_stored,
                limits or LoadLimits(),
                sizes or ChunkSizes(),
                on_progress,
            )
            report = run.run(found)
            self._write_dense()
        return report

    def stats(self) -> CollectionStats:
        """Counts for `fathom status`."""
        documents = self._store.documents()
        files = {state.value: 0 for state in FileState}
        for record in self._store.files():
            files[record.state.value] += 1
        return CollectionStats(
            str(self.folder),
            self.embedding,
            self._store.generation,
            len(documents),
            self._store.chunk_count(),
            sum(document.characters for document in documents),
            files,
        )

    def files(self) -> list[FileRecord]:
        """Every file that a run has seen, by path."""
        return self._store.files()

    def documents(self) -> list[Document]:
        """Every document by name, with absolute paths."""
        return [self._resolved(document) for document in self._store.documents()]

    def text(self, document_id: int) -> str:
        """The whole text of a document. Raises KeyError for an unknown id."""
        return self._store.text(document_id)

    def structure(self, document_id: int) -> tuple[list[Page], list[Heading]]:
        """Pages and headings of a document. Raises KeyError for an unknown id."""
        return self._store.structure(document_id)

    def chunks_of(self, document_id: int) -> list[Chunk]:
        """All chunks of a document in order."""
        return self._store.chunks_of(document_id)

    def place(self, document_id: int, start: int, end: int) -> Place:
        """Section and pages of the characters `[start, end)` of a document. Raises KeyError for an unknown id."""
        pages = [
            page for page in self.structure(document_id)[0] if page.start < max(end, start + 1) and start < page.end
        ]
        first, last = (pages[0].number, pages[-1].number) if pages else (None, None)
        return Place(self._store.section_at(document_id, start), first, last)

    def default_mode(self) -> SearchMode:
        """Hybrid where the collection has vectors, else lexical."""
        return SearchMode.LEXICAL if self.embedding == NONE else SearchMode.HYBRID

    def search(self, query: str, k: int = 10, mode: SearchMode | None = None) -> SearchResult:
        """The k best chunks and the documents of the best CANDIDATES chunks.

        Raises QueryError for an empty or overlong query, EncoderError for a mode that needs vectors which
        the collection does not have.
        """
        check_query(query)
        if k < 1:
            raise QueryError(f"k must be at least 1, got {k}", "leave -k out for the default")
        mode = mode or self.default_mode()
        depth = max(CANDIDATES, k)
        with self._store.snapshot():
            lexical = self._lexical_index().search(query, depth) if mode is not SearchMode.DENSE else []
            dense = self._dense_search(query, depth) if mode is not SearchMode.LEXICAL else []
            fused = fusion.weighted(lexical, dense)[:depth]
            hits = self._hits(fused, lexical, dense)
        return SearchResult(query, mode, tuple(hits[:k]), rank_documents(hits))

    def _hits(self, fused: list[Scored], lexical: list[Scored], dense: list[Scored]) -> list[Hit]:
        chunks = self._store.chunks([item.chunk_id for item in fused])
        documents = {document.id: document for document in self.documents()}
        by_lexical = {item.chunk_id: (rank, item.score) for rank, item in enumerate(lexical, 1)}
        by_dense = {item.chunk_id: (rank, item.score) for rank, item in enumerate(dense, 1)}
        hits = []
        for item in fused:
            if (chunk := chunks.get(item.chunk_id)) is None:
                continue
            lexical_rank, lexical_score = by_lexical.get(item.chunk_id, (None, None))
            dense_rank, dense_score = by_dense.get(item.chunk_id, (None, None))
            document = documents[chunk.document_id]
            hits.append(Hit(chunk, document, item.score, lexical_rank, dense_rank, lexical_score, dense_score))
        return hits

    def _lexical_index(self) -> LexicalIndex:
        generation = self._store.generation
        if self._lexical is None or self._lexical[0] != generation:
            self._lexical = (generation, RankBM25Index(*self._store.chunk_terms()))
        return self._lexical[1]

    def _dense_search(self, query: str, k: int) -> list[Scored]:
        encoder = self.encoder
        if encoder is None:
            raise EncoderError(
                f"the collection {self.folder} was indexed without vectors",
                "search with --mode lexical, or index into another collection with an --embedding",
            )
        return self._dense_index().search(encoder.encode([query])[0], k)

    def _dense_index(self) -> DenseIndex:
        """The index of this generation: in memory, else its file, else built from the stored vectors."""
        generation = self._store.generation
        if self._dense is None or self._dense[0] != generation:
            index = self._read_dense(generation) or DenseIndex.build(*self._store.chunk_vectors())
            self._dense = (generation, index)
        return self._dense[1]

    def _read_dense(self, generation: int) -> DenseIndex | None:
        """The index file of a generation; None where it is missing, damaged or not of the stored vectors' shape."""
        try:
            index = DenseIndex.read(self._dense_path(generation))
        except RuntimeError:  # FAISS's only word for a missing or damaged file
            return None
        return index if index.shape == self._store.vector_shape() else None

    def _write_dense(self) -> None:
        generation = self._store.generation
        path = self._dense_path(generation)
        if self.embedding == NONE or self._read_dense(generation) is not None:
            return
        DenseIndex.build(*self._store.chunk_vectors()).write(path)
        for old in self.folder.glob("dense.*"):
            if old != path:
                with suppress(FileNotFoundError):
                    old.unlink()

    def _dense_path(self, generation: int) -> Path:
        return self.folder / f"dense.{generation}.faiss"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Holds the collection's write lock; the kernel lets go of it however the process ends."""
        with (self.folder / "write.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise CollectionBusyError(
                    f"another process is writing to {self.folder}",
                    "wait until it is done, then run this again",
                ) from error
            yield

    def _to_stored(self, path: Path) -> str:
        """Relative to the folder that holds `.fathom/` where it lies below it, so that both can move together."""
        home = self.folder.absolute().parent
        path = path.absolute()
        return printable(path.relative_to(home).as_posix() if path.is_relative_to(home) else path.as_posix())

    def _resolved(self, document: Document) -> Document:
        path = os.path.normpath(self.folder.absolute().parent / document.path)
        return replace(document, path=path)

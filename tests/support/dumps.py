"""What a collection holds in a form that two collections can be compared by: without ids, and in a fixed order."""

from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import Any

from indexes.collection import Collection
from indexes.documents import FileState
from indexes.storage.store import Store
from tests.support.stores import vectors_of_chunks

QUERIES = ("price of cells", "fire in the connector", "lot 3 number 17")
DIGITS = 5  # of a score; sums of the same numbers in another order differ after some twelve
_ALL = 100_000  # results; a cut among equal scores would fall by id


def dump(collection: Collection) -> dict[str, Any]:
    """Files, documents with text and structure, chunks with their vectors, and what QUERIES find.

    A document is called by the first of its files, because which of several copies was read first is left open.
    """
    store = Store.open(collection.folder)
    try:
        names = _names(store)
        return {
            "files": _files(store, names),
            "documents": {names[document.id]: _document(store, document.id) for document in store.documents()},
            "found": {query: _found(collection, names, query) for query in QUERIES},
        }
    finally:
        store.close()


def _names(store: Store) -> dict[int, str]:
    names: dict[int, str] = {}
    for record in sorted(store.files(), key=lambda record: record.path):
        if record.document_id is not None:
            names.setdefault(record.document_id, record.path)
    return names


def _files(store: Store, names: dict[int, str]) -> dict[str, Any]:
    mtimes = store.mtimes()
    return {
        record.path: (
            replace(record, document_id=None),
            names.get(record.document_id or 0),
            mtimes[record.path] if record.state is FileState.INDEXED else None,
        )
        for record in store.files()
    }


def _document(store: Store, document_id: int) -> dict[str, Any]:
    (document,) = store.documents_of([document_id]).values()
    chunks = store.chunks_of(document_id)
    vectors = vectors_of_chunks(store, [chunk.id for chunk in chunks])
    folder = "".join(f"{part} › " for part in PurePosixPath(document.name).parts[:-1])
    assert all(chunk.context.startswith(folder) for chunk in chunks), f"{document.path}: not its own folder's context"
    return {
        "described": {**asdict(document), "id": None},
        "text": store.text(document_id),
        "structure": store.structure(document_id),
        "chunks": [replace(chunk, id=0, document_id=0) for chunk in chunks],
        "vectors": [vectors[chunk.id].tolist() for chunk in chunks if chunk.id in vectors],
    }


def _found(collection: Collection, names: dict[int, str], query: str) -> set[tuple[str, int, float, float]]:
    """What each index says of each chunk. Scores that rest on the best chunk are left out: it may be one of equals."""
    return {
        (
            names[hit.document.id],
            hit.chunk.ordinal,
            round(hit.lexical_score or 0.0, DIGITS),
            round(hit.dense_score or 0.0, DIGITS),
        )
        for hit in collection.search(query, _ALL).hits
    }


def without_copies(dumped: dict[str, Any]) -> dict[str, Any]:
    """The dump of a collection with copies: of documents that several files share only what is in the file itself.

    Their path, and with it a part of their context and of all statistics, is that of whichever was read first.
    """
    shared = [name for _, name, _ in dumped["files"].values()]
    several = {name for name in shared if shared.count(name) > 1}
    documents = {
        name: document["text"] if name in several else {key: document[key] for key in document}
        for name, document in dumped["documents"].items()
    }
    return {"files": dumped["files"], "documents": documents}

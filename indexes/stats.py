"""What a collection holds, in numbers."""

from dataclasses import dataclass

from .documents import FileState
from .storage.store import Store


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
    unread: int = 0  # documents whose text its sender wrote, until their files are read here


def stats_of(store: Store) -> CollectionStats:
    """Counts of documents, chunks, characters, and of files by their state."""
    documents = store.documents()
    files = {state.value: 0 for state in FileState}
    for record in store.files():
        files[record.state.value] += 1
    return CollectionStats(
        str(store.folder),
        store.embedding,
        store.generation,
        len(documents),
        store.chunk_count(),
        sum(document.characters for document in documents),
        files,
        store.shipped_count(),
    )

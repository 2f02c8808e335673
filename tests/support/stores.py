"""Stores with documents in them, made without files or loaders."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from indexes.documents import FileRecord, FileState, LoadedDocument
from indexes.encoders.embedding import HashEncoder, Vectors
from indexes.storage.store import NewChunk, Store
from indexes.storage.vector_table import content_key
from indexes.text.chunking import Span
from indexes.text.tokens import embedding_text


def record(path: str, document_id: int | None, sha256: str = "ab", state: FileState = FileState.INDEXED) -> FileRecord:
    return FileRecord(path, path, state, "", sha256, 3, document_id)


def put_document(store: Store, path: str, texts: Sequence[str], vectors: bool = True) -> int:
    """Stores a document of the texts, one chunk each, as the file at a path; returns its id."""
    keys = [content_key(embedding_text(path, text)) for text in texts]
    with store.transaction():
        rows: dict[bytes, int] = {}
        if vectors:
            known = store.vectors.find(keys)
            new = {key: embedding_text(path, text) for key, text in zip(keys, texts, strict=True) if key not in known}
            store.vectors.add(dict(zip(new, HashEncoder().encode(list(new.values())), strict=True)))
            rows = store.vectors.find(keys)
        whole = "".join(texts)
        document_id = store.add_document(path, path, f"sha of {whole}", LoadedDocument("text", path, whole))
        chunks, start = [], 0
        for text, key in zip(texts, keys, strict=True):
            chunks.append(NewChunk(Span(start, start + len(text), "", path, None, None), text, rows.get(key)))
            start += len(text)
        store.add_chunks(document_id, chunks)
        store.put_file(record(path, document_id, f"sha of {whole}"), 1)
    return document_id


def vectors_of_chunks(store: Store, chunk_ids: Iterable[int]) -> dict[int, Vectors]:
    """Vectors [d] as they are stored, by chunk id; chunks without one are left out."""
    query = "SELECT v.vector FROM chunks c JOIN vectors v ON v.id = c.vector_id WHERE c.id = ?"
    rows = {chunk_id: store._db.rows(query, (chunk_id,)) for chunk_id in chunk_ids}
    return {i: np.frombuffer(found[0][0], dtype="<f2").astype(np.float32) for i, found in rows.items() if found}


def drop_document(store: Store, path: str) -> None:
    with store.transaction():
        store.remove_file(path)


def new_store(folder: Path, chunks: int = 0, path: str = "a.txt") -> Store:
    """A new store, with a document of so many chunks where any are asked for."""
    store = Store.create(folder, "hash")
    if chunks:
        put_document(store, path, texts(chunks))
    return store


def texts(chunks: int, word: str = "cells") -> list[str]:
    """So many texts that share words and differ in others."""
    return [f"{word} number{n} of lot{n % 7} cost price{n % 3}\n" for n in range(chunks)]

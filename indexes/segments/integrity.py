"""Whether a collection is as it was written: SQLite's check of the database, and the checksums of rows and files."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from ..encoders.embedding import NONE
from ..errors import CollectionBrokenError
from ..files.folder import REBUILD
from ..storage.database import Database
from ..storage.sealing import CHUNKS, DOCUMENTS, TABLES, described, is_whole
from ..storage.store import Store
from .segment import FOLDER, damage

_MOST = 20  # rows that are named


@dataclass(frozen=True, slots=True)
class Damage:
    """Something wrong with a collection, and the next step."""

    found: str
    hint: str


def check(store: Store) -> list[Damage]:
    """What is wrong; every byte is read. Raises CollectionBrokenError where the database cannot be read at all."""
    with store.snapshot():
        found = [Damage(f"the database of {store.folder}: {line}", REBUILD) for line in database_damage(store)]
        if found:
            return found
        if store.embedding != NONE and (bare := store.vectors.chunks_without()):
            found.append(Damage(f"{bare:,} chunks in {store.folder} have no vector", REBUILD))
        segments = store.segments.all()
    again = f"delete {store.folder / FOLDER} and run `fathom index` again: the database makes them anew"
    bad = {row.name: lines for row in segments if (lines := damage(store.home, row))}
    valid = {row.name for row in store.segments.all()}  # a writer may have replaced one meanwhile
    return found + [Damage(line, again) for name in bad if name in valid for line in bad[name]]


def database_damage(store: Store) -> list[str]:
    """What is wrong with the database: pages and indexes, then rows, then the texts of documents."""
    found = store.database.damage()
    for lines in (_rows, _texts, _records):
        found = found or list(lines(store))
    return found


def _rows(store: Store) -> Iterator[str]:
    """Rows that are not as they were written."""
    database, left = store.database, _MOST
    for table in TABLES:
        for row in database.stream(f"SELECT {table.columns}, checksum FROM {table.name}"):
            if not is_whole(database, table, row):
                yield f"{described(database, table, row[:-1])} is not as it was written"
                left -= 1
                if not left:
                    return
    if twice := database.rows("SELECT count(*) FROM dead WHERE chunk_id IN (SELECT id FROM chunks)")[0][0]:
        yield f"{twice:,} chunks are marked as gone and are there"


def _texts(store: Store) -> Iterator[str]:
    """Documents whose chunks are not their whole text, one after another."""
    digests = dict(_digests(store.database))
    empty = (sha256().hexdigest(), 0, True)
    for row in store.database.stream(f"SELECT {DOCUMENTS.columns} FROM documents"):
        digest, characters, touching = digests.pop(row[0], empty)
        if digest != row[8] or characters != row[6] or not touching:
            yield f"the text of {described(store.database, DOCUMENTS, row)} is not as it was written"


def _digests(database: Database) -> Iterator[tuple[int, tuple[str, int, bool]]]:
    """Hash and length of the text that a document's chunks make up, and whether their spans say the same, by its id."""
    current, digest, at, touching, ordinal = None, sha256(), 0, True, 0
    query = f"SELECT {CHUNKS.columns} FROM chunks ORDER BY document_id, ordinal"
    for _, document_id, number, start, end, text, *_rest in database.stream(query):
        if document_id != current:
            if current is not None:
                yield current, (digest.hexdigest(), at, touching)
            current, digest, at, touching, ordinal = document_id, sha256(), 0, True, 0
        digest.update(text.encode("utf-8", "surrogatepass"))
        touching = touching and (number, start, end) == (ordinal, at, at + len(text))
        at, ordinal = at + len(text), ordinal + 1
    if current is not None:
        yield current, (digest.hexdigest(), at, touching)


def _records(store: Store) -> Iterator[str]:
    """What is as it was written, but not what this program writes."""
    try:
        store.files()
        store.removing()
        store.segments.all()
        _ = store.generation, store.embedding
        for row in store.database.rows(f"SELECT {DOCUMENTS.columns} FROM documents"):
            store.check_structure(row)
    except CollectionBrokenError as error:
        yield str(error)

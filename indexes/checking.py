"""Whether a collection is as it was written: the database by SQLite's own check, index files by their checksums."""

from dataclasses import dataclass

from .database import start_again
from .embedding import NONE
from .segments import FOLDER, damage
from .store import Store


@dataclass(frozen=True, slots=True)
class Damage:
    """Something wrong with a collection, and the next step."""

    found: str
    hint: str


def check(store: Store) -> list[Damage]:
    """What is wrong; every byte is read. Raises CollectionBrokenError where the database cannot be read at all."""
    anew = start_again(store.folder)
    found = [Damage(f"the database of {store.folder}: {line}", anew) for line in store.damage()]
    with store.snapshot():
        if store.meta("embedding") != NONE and (bare := store.vectors.chunks_without()):
            found.append(Damage(f"{bare:,} chunks in {store.folder} have no vector", anew))
        segments = store.segments.all()
    again = f"delete {store.folder / FOLDER} and run `fathom index` again: the database makes them anew"
    bad = {row.name: lines for row in segments if (lines := damage(store.folder, row))}
    valid = {row.name for row in store.segments.all()}  # a writer may have replaced one meanwhile
    return found + [Damage(line, again) for name in bad if name in valid for line in bad[name]]

"""A program that indexes folders in processes of its own, so that they can be killed at any moment: one line of folder
and documents in, the number of the process out; another line in, and how it ended out."""

import os
import sys
from importlib import import_module
from pathlib import Path

from indexes.collection import Collection
from indexes.ingest.run import RunSettings
from indexes.text.chunking import ChunkSizes

SETTINGS = RunSettings(sizes=ChunkSizes(60, 80, 20), processes=1)


def index(folder: Path, documents: Path) -> None:
    """One run with the hash encoder."""
    collection = Collection.open_or_create(folder, "hash")
    collection.add([documents], SETTINGS)
    collection.close()


def main() -> None:
    """Starts a process for every line; it has all modules loaded, so that its time is the run's."""
    for library in ("faiss", "rank_bm25"):
        import_module(library)
    for line in sys.stdin:
        folder, documents = line.rstrip("\n").split("\t")
        child = os.fork()
        if not child:
            try:
                index(Path(folder), Path(documents))
            finally:
                os._exit(sys.exc_info()[0] is not None)
        os.write(1, f"{child}\n".encode())
        sys.stdin.readline()
        os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


if __name__ == "__main__":
    main()

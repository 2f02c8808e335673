"""Small collections of files, and how tests fill, change and read them."""

import os
from pathlib import Path

from indexes.collection import Collection
from indexes.ingest.run import RunSettings

ONE = RunSettings(processes=1)
FILES: dict[str, str | bytes] = {
    "cells.md": "# Supply\n\nHexalith sells cells at 68 euros.\n",
    "fire.md": "# Safety\n\nA connector cracked and a cabinet burned in Taunton.\n",
    "sub/board.md": "# Board\n\nThe board met about cells and cash.\n",
}
LETTERS: dict[str, str | bytes] = {
    "a.md": "# Alpha\n\nCells cost 68 euros.\n",
    "b.txt": "Fire in Taunton.\n",
    "sub/c.csv": "x,y\n1,2\n",
}


def texts_of(collection: Collection) -> dict[str, str]:
    return {document.name: collection.text(document.id) for document in collection.documents()}


def rewrite(path: Path, text: str) -> None:
    """New content with a modification time that surely differs."""
    path.write_text(text)
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))

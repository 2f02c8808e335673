"""Folders and collections that several files of tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from tests.support.files import write
from tests.support.rooms import FILES, LETTERS, ONE


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", FILES)


@pytest.fixture
def collection(tmp_path: Path, docs: Path) -> Iterator[Collection]:
    """A collection of the files in `docs`."""
    made = Collection.open_or_create(tmp_path / ".fathom", "hash")
    made.add([docs], ONE)
    yield made
    made.close()


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", LETTERS)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Collection]:
    """A collection without files."""
    made = Collection.open_or_create(tmp_path / ".fathom", "hash")
    yield made
    made.close()

"""A collection that was accepted: what was shipped is gone once its folder was indexed, wherever it lies."""

from contextlib import closing
from pathlib import Path

import pytest

from indexes.adopting import adopt
from indexes.collection import Collection
from tests.indexes.test_adopting import FORGED
from tests.support.damaging import copied, forge, made
from tests.support.rooms import FILES, ONE


def _forged(tmp_path: Path, *statements: str) -> Path:
    folder = made(tmp_path / "theirs")
    forge(folder, *statements, *FORGED)
    return copied(folder, tmp_path / "received")


@pytest.mark.parametrize("path", ["/nowhere/cells.md", "other/cells.md"])
def test_a_shipped_text_of_a_file_elsewhere_goes_with_the_next_run_and_is_named(tmp_path: Path, path: str) -> None:
    received = _forged(
        tmp_path,
        f"UPDATE files SET path = '{path}', name = 'cells.md' WHERE name = 'cells.md'",
        f"UPDATE documents SET path = '{path}' WHERE name = 'cells.md'",
    )
    adopt(received)
    with closing(Collection.open(received)) as collection:
        report = collection.add([received.parent / "docs"], ONE)
        assert report.removed == ["cells.md"]
        assert {collection.text(document.id) for document in collection.documents()} == set(FILES.values())
        assert collection.verify() == []


def test_a_shipped_text_of_no_file_is_not_accepted(tmp_path: Path) -> None:
    received = _forged(tmp_path, "DELETE FROM files WHERE name = 'cells.md'")
    adopt(received)
    with closing(Collection.open(received)) as collection:
        assert {document.name for document in collection.documents()} == FILES.keys() - {"cells.md"}
        collection.add([received.parent / "docs"], ONE)
        assert {collection.text(document.id) for document in collection.documents()} == set(FILES.values())
        assert collection.verify() == []


def test_a_file_alone_that_is_indexed_takes_nothing_else_away(tmp_path: Path) -> None:
    received = copied(made(tmp_path / "theirs"), tmp_path / "received")
    adopt(received)
    with closing(Collection.open(received)) as collection:
        report = collection.add([received.parent / "docs" / "cells.md"], ONE)
        assert report.removed == []
        assert {document.name for document in collection.documents()} == set(FILES)

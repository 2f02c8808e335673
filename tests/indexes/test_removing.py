"""A `remove` that is killed at any moment can be called again, and reports what it was called for."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.errors import NothingToRemoveError
from tests.support.damaging import made, own
from tests.support.rooms import FILES, ONE


def _killed_at(call: int, folder: Path) -> None:
    """Removes `docs/sub` and `docs/cells.md` in a process that ends at its n-th use of the file system or database."""
    left = [call]

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def stop(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return stop

    with closing(Collection.open(folder)) as collection:
        database = collection._store.database
        database.rows = counted(database.rows)  # type: ignore[method-assign, assignment]
        for name in ("open", "mkdir", "fsync", "unlink", "rmdir"):
            setattr(os, name, counted(getattr(os, name)))
        collection.remove([folder.parent / "docs" / "sub", folder.parent / "docs" / "cells.md"])


def test_it_is_finished_by_the_same_call(tmp_path: Path) -> None:
    source, context, between = made(tmp_path / "source"), multiprocessing.get_context("fork"), 0
    for call in range(3, 400, 9):
        home = tmp_path / f"trial{call}"
        shutil.copytree(source.parent, home)
        own(home / ".fathom")
        process = context.Process(target=_killed_at, args=(call, home / ".fathom"))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        with closing(Collection.open(home / ".fathom")) as collection:
            left = {document.name for document in collection.documents()}
            assert left in (set(FILES), {"fire.md"})  # all or none
            between += left == {"fire.md"}
            if left == {"fire.md"} and not collection._store.removing():
                continue  # nothing was left to do but to say so
            assert sorted(collection.remove([home / "docs" / "sub", home / "docs" / "cells.md"])) == [
                "cells.md",
                "sub/board.md",
            ]
            assert {document.name for document in collection.documents()} == {"fire.md"}
            assert collection.verify() == []
            assert collection._store.removing() == {}
        shutil.rmtree(home)
    else:
        pytest.fail("no call came to its end")
    assert between > 0


def test_what_was_begun_is_finished_by_a_run_and_then_forgotten(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with closing(Collection.open(folder)) as collection:
        (record,) = [record for record in collection.files() if record.name == "cells.md"]
        collection._store.remove_all([record])  # and killed here
        assert collection._store.removing() == {"docs/cells.md": "cells.md"}
        assert collection.remove([tmp_path / "docs" / "sub"]) == ["sub/board.md"]
        assert collection._store.removing() == {}
        with pytest.raises(NothingToRemoveError):
            collection.remove([tmp_path / "docs" / "cells.md"])
        assert sorted(collection.add([tmp_path / "docs"], ONE).added) == ["cells.md", "sub/board.md"]

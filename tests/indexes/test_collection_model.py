"""The model of a collection's vectors: remembered, and another one refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.encoders.embedding import HashEncoder
from indexes.errors import EncoderError
from indexes.search.ranking import SearchMode
from tests.support.encoders import ChangedEncoder, CountingEncoder
from tests.support.files import write
from tests.support.rooms import ONE


def test_a_model_that_has_changed_is_refused_at_search_and_at_the_next_run(collection: Collection, docs: Path) -> None:
    other = Collection.open(collection.folder, lambda _: ChangedEncoder())
    before = (other.stats(), other.files())
    write(docs, {"new.md": "new words"})
    calls: list[Callable[[], object]] = [
        lambda: other.add([docs], ONE),
        lambda: other.retry_failed(ONE),
        lambda: other.search("cells"),
        lambda: other.search("cells", mode=SearchMode.DENSE),
    ]
    for call in calls:
        with pytest.raises(EncoderError, match=r"is not the one that the collection .* was made with") as caught:
            call()
        assert "restore the model" in caught.value.hint
    assert (other.stats(), other.files()) == before
    assert other.search("cells", mode=SearchMode.LEXICAL).hits  # words need no model
    other.close()


def test_the_model_is_remembered_from_the_first_run(tmp_path: Path, docs: Path) -> None:
    empty = Collection.open_or_create(tmp_path / "x", "hash")
    assert empty.search("cells").hits == ()
    empty.close()
    first = Collection.open(tmp_path / "x", lambda _: ChangedEncoder())
    first.add([docs], ONE)
    assert first.search("cells").hits
    first.close()
    second = Collection.open(tmp_path / "x", lambda _: HashEncoder())
    with pytest.raises(EncoderError, match="its files have changed"):
        second.search("cells")
    second.close()


def test_a_collection_without_vectors_has_no_model(tmp_path: Path, docs: Path) -> None:
    plain = Collection.open_or_create(tmp_path / "plain", "none")
    plain.add([docs], ONE)
    assert plain.encoder is None
    assert plain.verify() == []
    assert plain.search("cells").hits
    assert not list(plain.folder.rglob("*.faiss"))
    plain.close()


def test_a_run_without_news_makes_no_vectors(collection: Collection, docs: Path) -> None:
    encoder = CountingEncoder()
    again = Collection.open(collection.folder, lambda _: encoder)
    again.add([docs], ONE)
    (docs / "cells.md").touch()
    again.add([docs], ONE)
    assert encoder.texts == []
    again.close()

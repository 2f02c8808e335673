"""Hidden text in a collection: found on request and by nothing else, gone with its document, and checked."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.documents import HiddenText
from indexes.errors import CollectionBrokenError, QueryError
from indexes.storage.schema import DATABASE
from pipeline.errors import ExitCode
from tests.support.commands import ok, run
from tests.support.files import write
from tests.support.rooms import ONE

PAGE = "<p>The cap is 1 million euros.</p><p style='display:none'>Mallory gets nine million.</p>"
OTHER = "<p>Ants walk.</p><p style='display:none'>Nine ants. Mallory, Mallory.</p>"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Collection]:
    """A collection of two pages that hide something."""
    made = Collection.open_or_create(tmp_path / ".fathom", "hash")
    made.add([write(tmp_path / "docs", {"a.html": PAGE, "b.html": OTHER})], ONE)
    yield made
    made.close()


def test_hidden_text_is_found_on_request_only(room: Collection) -> None:
    found = room.search_hidden("nine million for Mallory")
    assert [(hit.document.name, hit.hidden.text) for hit in found] == [
        ("a.html", "Mallory gets nine million."),
        ("b.html", "Nine ants. Mallory, Mallory."),
    ]
    assert found[0].score > found[1].score > 0
    assert "Mallory" not in str(room.search("Mallory nine million").hits)
    assert all("Mallory" not in room.text(document.id) for document in room.documents())
    assert any("does not see" in note for notes in room.notes().values() for note in notes)
    assert room.search_hidden("ants", k=1)[0].hidden == HiddenText(found[1].hidden.reason, found[1].hidden.text)
    assert room.search_hidden("euros") == []


def test_hidden_text_goes_with_its_document(room: Collection, tmp_path: Path) -> None:
    (tmp_path / "docs" / "a.html").write_text("<p>The cap is 2 million euros.</p>")
    room.add([tmp_path / "docs"], ONE)
    assert [hit.document.name for hit in room.search_hidden("Mallory")] == ["b.html"]
    room.remove([tmp_path / "docs" / "b.html"])
    assert room.search_hidden("Mallory") == []
    assert room.verify() == []


def test_damaged_hidden_text_is_noticed(room: Collection, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / ".fathom" / DATABASE)) as database:
        database.execute("UPDATE hidden SET text = replace(text, 'nine', 'one')")
        database.commit()
    with pytest.raises(CollectionBrokenError, match="hidden text 1 is not as it was written"):
        room.search_hidden("Mallory")
    assert any("hidden text 1" in item.found for item in room.verify())


@pytest.mark.parametrize(("query", "k"), [("", 3), ("?!", 3), ("ants", 0)])
def test_a_question_that_is_none_is_refused(room: Collection, query: str, k: int) -> None:
    with pytest.raises(QueryError):
        room.search_hidden(query, k)


def test_the_command_tells_place_and_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "docs", {"a.html": PAGE})
    ok("index", "docs", "--embedding", "none")
    said = ok("search", "Mallory", "--hidden")
    assert "a.html" in said
    assert "Mallory gets nine million." in said
    [hit] = json.loads(ok("search", "Mallory", "--hidden", "--json"))["hidden"]
    assert hit["hidden"]["text"] == "Mallory gets nine million."
    assert hit["document"]["name"] == "a.html"
    assert run("search", "ants", "--hidden").exit_code == ExitCode.NO_ANSWER
    assert "Mallory" not in ok("search", "cap", "--mode", "lexical")

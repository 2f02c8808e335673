"""JSON and JSON lines: records as lines, broken lines named, nesting and numbers without end."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load


def _load(tmp_path: Path, content: str, name: str = "a.json") -> LoadedDocument:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return load(path)


def test_each_line_is_a_record_of_dotted_keys(tmp_path: Path) -> None:
    text = (
        '{"name": "Ada", "born": {"year": 1815, "place": {"city": "London"}}, "tags": ["a", "b"]}\n\n{"name": "Bo"}\n'
    )
    document = _load(tmp_path, text, "people_of-note.jsonl")
    assert document.text == "name: Ada; born.year: 1815; born.place.city: London; tags: a, b\nname: Bo\n"
    assert document.title == "people of note"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('[{"a": 1}, {"a": [{"b": 2}, {"b": null}]}]', "a: 1\na.0.b: 2\n"),
        ('[\n  {"a": 1},\n  {"a": 2}\n]', "a: 1\na: 2\n"),
        ('{"name": "x", "rows": [{"a": 1}, {"a": 2}], "end": true}', "name: x\nend: true\n\n# rows\n\na: 1\na: 2\n"),
        ('{\n "a": 1\n}', "a: 1\n"),
        ("[1, 2.50, 1e400, NaN]", "1\n2.50\n1e400\nNaN\n"),
        ('"only words"', "only words\n"),
        ("[" + "9" * 5000 + "]", "9" * 5000 + "\n"),
    ],
)
def test_lists_and_objects_are_lines(tmp_path: Path, content: str, text: str) -> None:
    assert _load(tmp_path, content).text == text


def test_a_broken_line_is_named_by_its_number_and_the_others_are_read(tmp_path: Path) -> None:
    document = _load(tmp_path, '{"a": 1}\n{"a": \n{"a": 3}\n', "a.jsonl")
    assert document.text == "a: 1\na: 3\n"
    assert document.notes == ("line 2 is not JSON (Expecting value) and is left out",)
    document = _load(tmp_path, "oops\n" + '{"a": 1}\n' + "oops\n" * 9, "b.jsonl")
    assert document.notes[-1] == "5 more lines are not JSON and are left out"
    assert len(document.notes) == 6


@pytest.mark.parametrize("content", ["words", '{"a": 1', "[1, 2", "[1 2]", "[1] x", "{}}"])
def test_what_is_no_json_says_so(tmp_path: Path, content: str) -> None:
    with pytest.raises(LoadError, match=r"^is not JSON: "):
        _load(tmp_path, content)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_nesting_without_end_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(LoadError, match="nests its lists and objects too deeply"):
        _load(tmp_path, content)


def test_a_long_key_is_not_repeated_in_full_below_itself(tmp_path: Path) -> None:
    text = _load(tmp_path, '{"' + "k" * 10_000 + '": {"a": 1, "b": {"c": 2}}}').text
    assert len(text) < 1000
    assert text.rstrip().endswith(".b.c: 2")

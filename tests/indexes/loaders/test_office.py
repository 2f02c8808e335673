"""Word files: order of blocks, headings, tables, and archives that must not be opened."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load
from indexes.loaders.office import MAX_UNPACKED_MIB
from tests.indexes.files import claiming_size, docx


def _load(tmp_path: Path, content: bytes) -> LoadedDocument:
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    return load(path)


def test_blocks_keep_their_order_and_kind(tmp_path: Path) -> None:
    document = _load(
        tmp_path,
        docx(
            [
                ("Title", "The deal"),
                ("Heading 1", "Price"),
                ("Normal", "It costs\n  €9 million."),
                ("List Bullet", "cash"),
                ("Normal", ""),
                ("Heading 2", "Terms"),
            ],
            [["Year", "Sales | net"], ["2025", "11,420"]],
        ),
    )
    assert document.text == (
        "# The deal\n\n# Price\n\nIt costs €9 million.\n\n- cash\n\n## Terms\n\n"
        "| Year | Sales \\| net |\n| 2025 | 11,420 |\n"
    )
    assert [(heading.level, heading.title) for heading in document.headings] == [
        (1, "The deal"),
        (1, "Price"),
        (2, "Terms"),
    ]
    assert document.pages == ()


def test_headings_and_tables_stand_where_they_say(tmp_path: Path) -> None:
    document = _load(tmp_path, docx([("Heading 1", "Größe 🌊"), ("Normal", "x")], [["a", "b"], ["1", "2"]]))
    heading, table = document.headings[0], document.tables[0]
    assert document.text[heading.start :].startswith("# Größe 🌊\n")
    assert document.text[table.start : table.end] == "| a | b |\n| 1 | 2 |\n"
    assert table.header == "| a | b |"


def test_the_title_is_the_property_and_else_the_first_heading(tmp_path: Path) -> None:
    assert _load(tmp_path, docx([("Heading 1", "Price")], title="Named")).title == "Named"
    assert _load(tmp_path, docx([("Normal", "x"), ("Heading 1", "Price")], title="")).title == "Price"


def test_a_file_without_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^holds no text$"):
        _load(tmp_path, docx())


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.95])
def test_a_truncated_file_says_so(tmp_path: Path, share: float) -> None:
    content = docx([("Normal", "words")])
    with pytest.raises(LoadError, match=r"^is truncated or damaged \("):
        _load(tmp_path, content[: int(len(content) * share)])


def test_a_damaged_member_says_so(tmp_path: Path) -> None:
    content = docx([("Normal", "words " * 200)])
    at = content.index(b"word/document.xml") + 40
    with pytest.raises(LoadError, match=r"^is truncated or damaged \("):
        _load(tmp_path, content[:at] + b"\xff" * 60 + content[at + 60 :])


def test_an_archive_that_unpacks_beyond_the_limit_is_not_unpacked(tmp_path: Path) -> None:
    bomb = claiming_size(docx([("Normal", "x")]), "word/document.xml", MAX_UNPACKED_MIB * 2**20)
    # 512 MiB for the text and half a MiB for the template's other members
    with pytest.raises(LoadError, match=r"^unpacks to 513 MiB, over the limit of 512 MiB$"):
        _load(tmp_path, bomb)

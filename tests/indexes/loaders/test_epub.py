"""EPUB books: chapters in the order of the spine, title and author, protected and damaged books."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import LoadLimits, load
from tests.support.files import epub, package, repacked


def _load(tmp_path: Path, content: bytes, limits: LoadLimits | None = None) -> LoadedDocument:
    path = tmp_path / "book.epub"
    path.write_bytes(content)
    return load(path, limits)


def _chapter(title: str, text: str) -> str:
    return (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>'
        f"<body><h1>{title}</h1><p>{text}</p></body></html>"
    )


BOOK = epub({"z.xhtml": _chapter("One", "It began."), "a b.xhtml": _chapter("Two", "It ended.")})


def test_chapters_follow_the_spine_under_title_and_author(tmp_path: Path) -> None:
    document = _load(tmp_path, BOOK)
    assert document.text == "A book, by Ada Byron\n\n# One\n\nIt began.\n\n# Two\n\nIt ended.\n"
    assert document.title == "A book"
    assert [document.text[h.start : h.end_of_line(document.text)] for h in document.headings] == ["# One", "# Two"]


def test_a_protected_book_is_refused_and_one_with_obscured_fonts_is_read(tmp_path: Path) -> None:
    def encryption(name: str) -> str:
        return (
            '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><x:CipherReference '
            f'xmlns:x="http://www.w3.org/2001/04/xmlenc#" URI="{name}"/></encryption>'
        )

    assert _load(tmp_path, repacked(BOOK, {"META-INF/encryption.xml": encryption("OEBPS/font.otf")})).title == "A book"
    with pytest.raises(LoadError, match="protected by digital rights management"):
        _load(tmp_path, repacked(BOOK, {"META-INF/encryption.xml": encryption("OEBPS/z.xhtml")}))


def test_paths_that_lead_out_of_the_book_are_only_names_that_it_lacks(tmp_path: Path) -> None:
    book = epub({"c.xhtml": _chapter("One", "text")})
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="a" href="../../../../etc/passwd" media-type="text/html"/>'
        '<item id="b" href="c.xhtml" media-type="text/html"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    document = _load(tmp_path, repacked(book, {"OEBPS/book.opf": opf}))
    assert document.text == "# One\n\ntext\n"
    assert document.notes == ("1 chapters are missing in the file",)


def test_chapters_that_unpack_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    bomb = epub({"c.xhtml": "<p>" + " " * 3 * 2**20 + "</p>"})
    with pytest.raises(LoadError, match=r"^unpacks to more than the limit of 2 MiB$"):
        _load(tmp_path, bomb, LoadLimits(max_unpacked_mib=2))


def test_a_book_without_its_parts_says_which(tmp_path: Path) -> None:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfile full-path="b.opf"/></container>'
    )
    with pytest.raises(LoadError, match=r"its part 'b\.opf' is missing$"):
        _load(tmp_path, package({"mimetype": "application/epub+zip", "META-INF/container.xml": container}))

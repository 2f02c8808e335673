"""HTML files: what is text, what is dropped, and pages made to break a parser."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load


def _load(tmp_path: Path, content: str | bytes, name: str = "a.html") -> LoadedDocument:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path)


def _page(body: str) -> str:
    return f"<!DOCTYPE html><html><head><title>T</title></head><body>{body}</body></html>"


def test_headings_lists_and_tables_become_marked_text(tmp_path: Path) -> None:
    document = _load(
        tmp_path,
        _page(
            "<h1>One <em>title</em></h1>loose <b>in</b>line<p>a<br>b</p><ul><li>x</li><li>y</li></ul>"
            "<table><caption>Sales</caption><tr><th>Year</th><th>€k</th></tr><tr><td>2025</td><td>9</td></tr></table>"
            "<!-- a comment --><h2>Two</h2>"
        ),
    )
    assert document.title == "T"
    assert document.text == (
        "# One title\n\nloose inline\n\na\n\nb\n\n- x\n\n- y\n\nSales\n\n| Year | €k |\n| 2025 | 9 |\n\n## Two\n"
    )
    table = document.tables[0]
    assert document.text[table.start : table.end].startswith("| Year | €k |\n")
    assert [document.text[h.start :].split()[0] for h in document.headings] == ["#", "##"]


@pytest.mark.parametrize("tag", ["script", "style", "nav", "footer", "aside", "noscript", "template"])
def test_what_is_no_content_is_left_out(tmp_path: Path, tag: str) -> None:
    assert _load(tmp_path, _page(f"<{tag}>secret</{tag}><p>kept</p>")).text == "kept\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>around</p><main>inside</main>", "inside\n"),
        ("<p>around</p><article>inside</article>", "inside\n"),
        ("<article>one</article><article>two</article>", "one\n\ntwo\n"),
        ("<article>one <article>a reply</article></article>", "one\n\na reply\n"),
    ],
)
def test_the_main_part_is_read_and_none_of_several_articles_is_lost(tmp_path: Path, body: str, text: str) -> None:
    assert _load(tmp_path, _page(body)).text == text


def test_nested_tables_give_every_cell_once(tmp_path: Path) -> None:
    text = _load(tmp_path, _page("<table><tr><td>a<table><tr><td>b</td></tr></table></td><td>c</td></tr></table>")).text
    assert text == "| a b | c |\n"


def test_twenty_thousand_nested_blocks_lose_nothing(tmp_path: Path) -> None:
    depth = 20_000
    text = _load(tmp_path, _page("<div>" * depth + "bottom" + "</div>" * depth + "<p>after</p>")).text
    assert text == "bottom\n\nafter\n"


@pytest.mark.parametrize(
    "content", ["<p>never closed", "<p></div></p></p>ok", "<<<>>><p>&bogus; &#99999999;ok", "plain"]
)
def test_broken_markup_is_read_all_the_same(tmp_path: Path, content: str) -> None:
    assert _load(tmp_path, content).text.strip()


@pytest.mark.parametrize("content", [_page(""), _page("<script>x</script>"), "<!-- only a comment -->"])
def test_a_page_without_text_says_so(tmp_path: Path, content: str) -> None:
    with pytest.raises(LoadError, match=r"^holds no text$"):
        _load(tmp_path, content)


def test_xhtml_and_text_that_looks_like_a_file_name_give_no_warning(tmp_path: Path) -> None:
    xhtml = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>é</p></body></html>'
    assert _load(tmp_path, xhtml, "a.xhtml").text == "é\n"
    assert _load(tmp_path, "folder/page.html").text == "folder/page.html\n"


@pytest.mark.parametrize(
    "content",
    [
        _page("<p>Zürich zahlt €68</p>").encode("utf-8"),
        _page("<p>Zürich zahlt €68</p>").encode("utf-16"),
        _page("<p>Zürich zahlt €68</p>").replace("<title>", '<meta charset="windows-1252"><title>').encode("cp1252"),
    ],
    ids=["utf-8", "utf-16", "cp1252"],
)
def test_the_encoding_is_found(tmp_path: Path, content: bytes) -> None:
    assert _load(tmp_path, content).text == "Zürich zahlt €68\n"

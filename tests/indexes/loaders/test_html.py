"""HTML files: what is text, what is dropped, and pages made to break a parser."""

from contextlib import suppress
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


LONG = "A sentence of the article that is about prices and nothing else at all. " * 12
LINKS = "".join(f"<li><a href='/{name}'>{name}</a></li>" for name in ("Home", "About", "Shop", "Contact", "Help"))


@pytest.mark.parametrize(
    "furniture",
    [
        "<div class='main-menu'><a>Home</a> <a>Shop</a></div>",
        f"<ul>{LINKS}</ul>",
        "<div id='cookie-banner'>We use cookies. <button>Accept</button></div>",
        "<ol class='breadcrumb'><li><a>Home</a></li><li>Prices</li></ol>",
        "<div class='share-buttons'>Share this page</div>",
        "<section class='related-posts'><a>Another article</a></section>",
        "<div role='navigation'>secret</div>",
        "<div class='sidebar widget'>Advertise here</div>",
        "<div style='display: none'>secret</div>",
        "<p hidden>secret</p>",
        "<form><input value='x'>Search the site</form>",
        "<aside>secret</aside>",
    ],
)
def test_what_surrounds_the_main_text_is_left_out(tmp_path: Path, furniture: str) -> None:
    text = _load(tmp_path, _page(f"{furniture}<h1>Prices</h1><p>{LONG}</p>{furniture}")).text
    assert text == f"# Prices\n\n{LONG.strip()}\n"


@pytest.mark.parametrize(
    "body",
    [
        f"<form id='aspnetForm'><h1>Prices</h1><p>{LONG}</p></form>",
        f"<div class='content with-sidebar'><p>{LONG}</p></div>",
        f"<div id='cookies'><h2>Cookies</h2><p>{LONG}</p></div><p>short</p>",
        f"<main>Skip</main><div>{LONG}</div>",
        f"<article>teaser</article><div>{LONG}</div>",
        f"<table><tr><td>{LONG}<h2>Inside</h2></td><td>x</td></tr></table>",
        f"<div style='font:10pt'><font>{LONG}</font></div>",
        f"<ul><li>{LONG}</li></ul>",
    ],
)
def test_the_content_of_a_plain_page_is_never_lost(tmp_path: Path, body: str) -> None:
    assert LONG.strip() in _load(tmp_path, _page(body)).text


def test_a_page_that_is_nothing_but_links_keeps_them(tmp_path: Path) -> None:
    text = _load(tmp_path, _page(f"<ul>{LINKS}</ul>")).text
    assert text == "- Home\n\n- About\n\n- Shop\n\n- Contact\n\n- Help\n"
    assert _load(tmp_path, _page(f"<nav><ul>{LINKS}</ul></nav>")).text == text


def test_nested_lists_keep_their_marks(tmp_path: Path) -> None:
    text = _load(tmp_path, _page("<ul><li>a<ul><li>b</li></ul></li><li><p>c</p></li></ul><p>d</p>")).text
    assert text == "- a\n\n- b\n\n- c\n\nd\n"


def test_preformatted_text_keeps_its_lines(tmp_path: Path) -> None:
    assert _load(tmp_path, _page("<pre>\na  b\n  c\n</pre>")).text == "a  b\n  c\n"


def test_signs_join_their_figures_and_spacing_columns_go(tmp_path: Path) -> None:
    rows = (
        "<tr><td></td><td></td><td colspan='2'>2025</td><td></td><td colspan='2'>2024</td></tr>"
        "<tr><td>Net</td><td></td><td>$</td><td>11</td><td></td><td>$</td><td>9</td></tr>"
        "<tr><td>Loss</td><td></td><td>(</td><td>3</td><td>)</td><td></td><td>4</td><td>%</td></tr>"
    )
    lines = _load(tmp_path, _page(f"<table>{rows}</table>")).text.splitlines()
    assert lines == ["|  | 2025 |  | 2024 |  |", "| Net |  | $11 |  | $9 |", "| Loss |  | (3) |  | 4% |"]


def test_tall_cells_are_told_in_each_row_and_absurd_spans_are_cut(tmp_path: Path) -> None:
    rows = "<tr><td rowspan='2'>North</td><td>a</td></tr><tr><td>b</td></tr><tr><td colspan='99999999'>c</td></tr>"
    text = _load(tmp_path, _page(f"<table>{rows}</table>")).text
    assert text.startswith("| North | a |\n| North | b |\n| c |  |")
    assert len(text) < 500


def test_a_closed_empty_title_of_xhtml_does_not_swallow_the_page(tmp_path: Path) -> None:
    xhtml = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><p>kept<a id="x"/></p></body></html>'
    assert _load(tmp_path, xhtml).text == "kept\n"


@pytest.mark.parametrize("content", ["<" * 200_000 + "x", "<!--" * 50_000 + "x", "<p>x" + "<table><tr><td>" * 5000])
def test_markup_without_end_gives_text_or_a_reason(tmp_path: Path, content: str) -> None:
    with suppress(LoadError):
        assert _load(tmp_path, content).text.strip()

"""Values of CSS: what a browser takes, and pages that hide text by what a careless reader of styles would pass over."""

from pathlib import Path

import pytest

from indexes.loaders import load
from indexes.loaders.hidden.css_values import is_valid, physical, unescaped


def test_escapes_are_undone_as_css_has_them() -> None:
    assert unescaped(r"d\69splay") == "display"
    assert unescaped(r"n\6f ne") == "none"  # the blank ends the number
    assert unescaped(r"\000066oo\:") == "foo:"
    assert unescaped(r"\0 \ffffff \d800 ") == "\ufffd" * 3


def test_sides_follow_the_order_of_the_clock() -> None:
    assert dict(physical("inset", "1px")) == {"top": "1px", "right": "1px", "bottom": "1px", "left": "1px"}
    assert dict(physical("inset", "1px 2px")) == {"top": "1px", "right": "2px", "bottom": "1px", "left": "2px"}
    assert dict(physical("inset", "1px 2px 3px")) == {"top": "1px", "right": "2px", "bottom": "3px", "left": "2px"}
    assert dict(physical("inset", "1px 2px 3px 4px"))["left"] == "4px"
    assert dict(physical("inset-inline", "1px")) == {"left": "1px", "right": "1px"}
    assert dict(physical("margin-inline", "1px 2px")) == {"margin-left": "1px"}
    assert dict(physical("inset", "")) == {}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("display", "inline flow-root", True),
        ("display", "foo", False),
        ("display", "foo()", False),
        ("opacity", ".5", True),
        ("opacity", "5px", False),
        ("left", "-9999px", True),
        ("left", "0", True),
        ("left", "5", False),
        ("left", "calc(1px + 2px)", True),
        ("font-size", "larger", True),
        ("font-size", "big", False),
        ("color", "rebeccapurple", True),
        ("color", "rgb(0 0 0)", True),
        ("color", "rgb(1)", False),
        ("color", "oklch(1 0 0)", True),
        ("color", "colour", False),
        ("color", "var(--any)", True),
        ("clip-path", "whatever", True),  # not judged
    ],
)
def test_a_value_counts_where_a_browser_takes_it(name: str, value: str, expected: bool) -> None:
    assert is_valid(name, value) is expected


@pytest.mark.parametrize(
    "style",
    [
        "display:none;display:foo",
        "display:none;display:foo()",
        "visibility:hidden;visibility:seen",
        "opacity:0;opacity:full",
        "font-size:0;font-size:big",
        "color:#fff;color:blackish",
        "color:#fff;color:rgb(1)",
        "position:absolute;left:-9999px;left:5",
        r"d\69splay:none",
        r"display:n\6fne",
        "position:absolute;inset:-9999px auto auto",
        "position:absolute;inset-inline-start:-9999px",
        "margin-inline-start:-9999px",
        "translate:-9999px",
        "scale:0",
        "display:block;block-size:0;overflow:hidden",
    ],
)
def test_text_that_no_browser_shows_is_kept_apart(tmp_path: Path, style: str) -> None:
    for head, body in (
        ("", f'<p style="{style}">9 million</p>'),
        (f"<style>.a{{{style}}}</style>", "<p class=a>9 million</p>"),
    ):
        (tmp_path / "a.html").write_text(f"<!DOCTYPE html><head>{head}</head><body><p>The price.</p>{body}</body>")
        document = load(tmp_path / "a.html")
        assert document.text == "The price.\n"
        assert [item.text for item in document.hidden] == ["9 million"]


@pytest.mark.parametrize(
    "style", ["display:none;display:block", "left:5", "color:#fff;color:red", "scale:1", "translate:0 4px"]
)
def test_text_that_a_browser_shows_stays(tmp_path: Path, style: str) -> None:
    (tmp_path / "a.html").write_text(f'<!DOCTYPE html><body><p style="{style}">1 million</p></body>')
    assert load(tmp_path / "a.html").text == "1 million\n"


@pytest.mark.parametrize(
    "element", ["<noframes>X</noframes>", "<noembed>X</noembed>", "<ruby>a<rp>X</rp></ruby>", "<p popover>X</p>"]
)
def test_elements_that_browsers_do_not_show_are_not_read(tmp_path: Path, element: str) -> None:
    (tmp_path / "a.html").write_text(
        f"<!DOCTYPE html><body><p>The price.</p>{element.replace('X', '9 million')}</body>"
    )
    assert "million" not in load(tmp_path / "a.html").text

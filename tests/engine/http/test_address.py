"""Addresses of servers: one meaning or none, and no password in what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.http.address import Address, parse_address, redacted, redacted_within


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("http://localhost:8000", Address("http://localhost:8000"), "http://localhost:8000"),
        ("https://h/v1/", Address("https://h/v1"), "https://h/v1"),
        ("http://[::1]:8000", Address("http://[::1]:8000"), "http://[::1]:8000"),
        ("http://user:pass@h:1", Address("http://h:1", "user", "pass"), "http://user:***@h:1"),
        ("http://u%40x:p%3Aq@h", Address("http://h", "u@x", "p:q"), "http://***@h"),
        ("http://token@h", Address("http://h", "token", ""), "http://***@h"),
    ],
)
def test_a_url_is_taken_apart_and_shown_without_its_secret(url: str, address: Address, shown: str) -> None:
    assert parse_address(url) == address
    assert parse_address(url).shown == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:",
        "http://h:99999",
        "http://h:port",
        "http://good.example\\@evil.example/",
        "http://a@b@c",
        "http://user:pa/ss@h",
        "http://h/@x",
        "http://h?key=secret",
        "http://h/#x",
        "http://h ost",
        "http://h\n",
        "http://h\u202e",
        "http://ｈ.example",
        "http://-h",
        "http://[::1]x:80",
        "http://x[::1]",
        "http://[::1]@h",
        "http://[v1.a]",
        "http://[1.2.3.4]",
        "http://@h",
        "http://:@h",
        "http://.invalid",
        "//h",
        "javascript://h",
    ],
)
def test_what_may_be_read_in_two_ways_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)
    assert "pa/ss" not in str(caught.value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@"), min_size=3, max_size=20))
def test_no_password_is_shown_whatever_it_is(password: str) -> None:
    marked = f"QQ{password}QQ"
    assert marked not in redacted(f"http://user:{marked}@host/path")
    assert marked not in redacted(f"http://host/path?key={marked}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("got (http://u:secret@h)", "got (http://u:***@h)"),
        ("two: https://secret@h/v1 'http://h?k=secret'", "two: https://***@h/v1 'http://h?***'"),
        ("a path: http:/u:secret@h is missing", "a path: http:/u:***@h is missing"),
        ("http://u:***@h:80 answered; mail a@b.c: why?", "http://u:***@h:80 answered; mail a@b.c: why?"),
        ("C:/Users/a, 12:30/13:45, fake://", "C:/Users/a, 12:30/13:45, fake://"),
    ],
)
def test_urls_in_a_text_are_shown_without_their_secrets(text: str, shown: str) -> None:
    assert redacted_within(text) == shown

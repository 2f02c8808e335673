"""RTF files: text, tables and letters beyond ASCII."""

from pathlib import Path

from indexes.loaders import load


def _load(tmp_path: Path, content: str, name: str = "a.rtf") -> str:
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    return load(path).text


def test_text_is_read_and_tables_are_rows(tmp_path: Path) -> None:
    source = (
        "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0\\fcharset0 Arial;}}{\\info{\\title no}}"
        "\\f0 Z\\'fcrich pays \\u8364?68.\\par "
        "\\trowd\\cellx1\\cellx2 Year\\cell Net\\cell\\row 2025\\cell 9\\cell\\row}"
    )
    assert _load(tmp_path, source) == "Zürich pays €68.\n\n| Year | Net |\n\n| 2025 | 9 |\n"
    assert _load(tmp_path, source, "a.doc").startswith("Zürich")


def test_a_link_keeps_its_words_and_pictures_are_left_out(tmp_path: Path) -> None:
    link = '{\\field{\\*\\fldinst{HYPERLINK "https://example.org"}}{\\fldrslt the page}}'
    picture = "{\\pict\\pngblip " + "89504e47" * 1000 + "}"
    assert _load(tmp_path, "{\\rtf1 see " + link + picture + " now}") == "see the page now\n"


def test_braces_and_fields_without_end_take_no_long_time(tmp_path: Path) -> None:
    assert _load(tmp_path, "{\\rtf1 words" + "{" * 100_000) == "words\n"
    assert _load(tmp_path, "{\\rtf1{\\fonttbl" + "\\f0\\fcharset0" * 3000 + "}words}") == "words\n"
    assert _load(tmp_path, "{\\rtf1{\\fonttbl" + "\\f0" * 20_000 + "}words}") == "words\n"
    assert _load(tmp_path, "{\\rtf1 words" + "{\\field{\\*\\fldinst{" * 5000) == "words\n"

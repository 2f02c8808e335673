"""Loading a file of any kind: limits, refusals with their reasons, and damage."""

import io
import random
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.errors import LoadError, UnsupportedError
from indexes.loaders import LoadLimits, load, readable_suffixes, sniff
from tests.indexes.loaders.samples import BOX, HTML, TABLE, TEXT_PDF, WORD
from tests.support.files import OLE, eml, epub, open_folder, unprivileged, xlsx


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.pdf", "a.docx", "a.html", "a.csv"])
@pytest.mark.parametrize("content", [b"", b" \n\t\r\n", b"\x00" * 9])
def test_a_file_without_content_is_empty_whatever_its_suffix(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"^is empty$"):
        load(path)


@pytest.mark.parametrize("blank", ["\u00a0\u2003 \n", "\x0b\x0c\n"])
def test_a_file_of_other_white_space_holds_no_text(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(blank, encoding="utf-8")
    with pytest.raises(LoadError, match=r"^(holds no text|is empty)$"):
        load(path)


@pytest.mark.parametrize(
    ("content", "error", "reason"),
    [
        (b"\x00" * 5000 + b"x", UnsupportedError, "begins with blank or NUL bytes"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00\x00code", UnsupportedError, r"is a program \(ELF binary\)"),
        (b"words " * 1000 + b"\x00\x01\x02", UnsupportedError, "holds binary data"),
        (b"\xff\xfeh\x00i", LoadError, "is damaged utf-16 text: truncated data"),
        (b"\xef\xbb\xbfwords \xff", LoadError, "is damaged utf-8-sig text: invalid start byte"),
        (OLE, LoadError, "is password-protected or in a pre-2007 Office format"),
        (b"PK\x03\x04 cut off", LoadError, "is truncated or damaged"),
        (b"%PDF-1.7\ncut off", LoadError, "is truncated or damaged"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_its_reason(
    tmp_path: Path, content: bytes, error: type[LoadError], reason: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(error, match=reason) as caught:
        load(path)
    assert type(caught.value) is error


def test_an_archive_that_is_no_word_file_is_unsupported(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("notes.txt", "words")
    path = tmp_path / "figures.docx"
    path.write_bytes(raw.getvalue())
    with pytest.raises(UnsupportedError, match=r"^is an archive \(zip\); unpack it and index the folder$"):
        load(path)


def test_a_missing_file_and_a_dangling_link_cannot_be_opened(tmp_path: Path) -> None:
    link = tmp_path / "link.md"
    link.symlink_to(tmp_path / "gone.md")
    for path in (tmp_path / "gone.md", link):
        with pytest.raises(LoadError, match=r"^cannot be opened: No such file or directory$"):
            load(path)
        with pytest.raises(LoadError, match=r"^cannot be opened: No such file or directory$"):
            sniff(path)


def test_a_link_loop_and_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    loop = tmp_path / "loop.md"
    loop.symlink_to(loop)
    with pytest.raises(LoadError, match="cannot be opened: Too many levels of symbolic links"):
        load(loop)
    with pytest.raises(LoadError, match="cannot be opened: it is no longer a regular file"):
        load(tmp_path)


def test_a_file_without_read_permission_cannot_be_opened() -> None:
    with open_folder() as folder:
        path = folder / "closed.md"
        path.write_text("words")
        path.chmod(0)
        with unprivileged(), pytest.raises(LoadError, match="cannot be opened: Permission denied"):
            load(path)


def test_a_file_over_the_size_limit_fails_and_one_at_the_limit_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"word " * (2**20 // 5) + b"x")  # 5 · 209,715 + 1 bytes = 1 MiB
    assert path.stat().st_size == 2**20
    assert len(load(path, LoadLimits(max_file_mib=1)).text) == 2**20
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(LoadError, match=r"^is 1 MiB, over the limit of 1 MiB; split it or raise --max-file-mib$"):
        load(path, LoadLimits(max_file_mib=1))


def test_a_text_over_the_character_limit_fails_and_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("é" * 1001, encoding="utf-8")
    with pytest.raises(LoadError, match=r"^holds 1,001 characters, over the limit of 1,000; split it$"):
        load(path, LoadLimits(max_characters=1000))
    assert load(path, LoadLimits(max_characters=1001)).text == "é" * 1001


def test_characters_that_no_database_holds_are_replaced_one_for_one(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_bytes(b"<html><body><h1>T&#xD800;itle</h1><p>a&#0;b</p></body></html>")
    document = load(path)
    document.text.encode("utf-8")
    assert "\x00" not in document.text
    assert document.text[document.headings[0].start :].startswith("# " + document.headings[0].title)


@pytest.mark.parametrize(("name", "whole"), [("a.docx", WORD), ("a.pdf", TEXT_PDF)])
def test_a_damaged_file_gives_text_or_a_load_error_and_nothing_else(tmp_path: Path, name: str, whole: bytes) -> None:
    rng = random.Random(7)
    path = tmp_path / name
    for turn in range(60):
        data = bytearray(whole)
        if turn % 3 == 0:
            del data[rng.randrange(len(data)) :]
        for _ in range(turn % 4):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with suppress(LoadError):
            assert load(path).text.strip()


def test_every_suffix_that_folders_are_searched_for_has_a_loader(tmp_path: Path) -> None:
    for suffix in readable_suffixes():
        path = tmp_path / f"a{suffix}"
        named = {".pdf": TEXT_PDF, ".docx": WORD, ".json": b'["68 euros"]', ".jsonl": b"[68]\n" + b'"68 euros"'}
        named[".ndjson"] = named[".jsonl"]
        path.write_bytes(named.get(suffix, b"Cells cost 68 euros."))
        assert "68 euros" in load(path).text


def test_an_encrypted_zip_says_so(tmp_path: Path) -> None:
    content = bytearray(WORD)
    with zipfile.ZipFile(io.BytesIO(WORD)) as archive:
        content[archive.start_dir + 8] |= 1  # the flag of the first member in the directory
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"^is encrypted; save a copy without a password$"):
        load(path)


def test_a_zip_that_claims_a_bloated_list_of_members_is_not_listed(tmp_path: Path) -> None:
    content = bytearray(WORD)
    struct.pack_into("<I", content, content.rindex(b"PK\x05\x06") + 12, 100 * 2**20)
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"^has a list of members of 100 MiB, over 8 MiB$"):
        load(path)


SAMPLES = {
    "a.docx": WORD,
    "a.xlsx": xlsx({"S": [["a", "b"], ["c", 1]], "T": [["d"], [2]]}),
    "a.epub": epub({"c.xhtml": "<h1>T</h1><p>x</p><table><tr><td>a</td><td>b</td></tr></table>"}),
    "a.eml": eml("words", attachments={"t.csv": TABLE, "m.docx": WORD, "page.html": HTML}),
    "a.mbox": BOX + b"\n\n" + BOX,
    "a.html": HTML,
    "a.jsonl": b'{"a": 1}\n{"a": [1, 2]}\n',
    "a.csv": TABLE,
    "a.rtf": b"{\\rtf1 INTRO\\par words\\par}",
    "a.md": b"---\nauthor: x\n---\n# T\n\n| a |\n|---|\n| 1 |\n",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_parts_stand_where_they_say_in_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(SAMPLES[name])
    document = load(path)
    text = document.text
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(starts)
    for heading in document.headings:
        assert heading.title in text[heading.start : heading.end_of_line(text)]
    for table in document.tables:
        assert 0 <= table.start < table.end <= len(text)
        assert text[table.start : table.end].startswith(table.header)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ("a.docx", "a.md")])
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_changed_at_random_give_text_or_a_load_error(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / name
    path.write_bytes(bytes(content[:cut]) if data.draw(st.booleans()) else bytes(content))
    with suppress(LoadError):
        assert load(path).text.strip()

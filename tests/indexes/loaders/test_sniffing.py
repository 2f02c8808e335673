"""Sniffing: which loader a file gets by its content, and what is refused by its name."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
from pathlib import Path

import pytest

from indexes.errors import LoadError, UnsupportedError
from indexes.loaders import load, sniff
from tests.indexes.loaders.samples import BOX, HTML, MAIL, TABLE, TEXT_PDF, WORD
from tests.support.files import OLE, epub, package, xlsx


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("report.txt", TEXT_PDF, "pdf"),
        ("report", TEXT_PDF, "pdf"),
        ("late-mark.pdf", b"\r\n" * 20 + TEXT_PDF, "pdf"),
        ("memo.txt", WORD, "docx"),
        ("note.pdf", b"only words", "text"),
        ("note.docx", b"only words", "text"),
        ("page.md", b"<!DOCTYPE html><p>hi</p>", "html"),
        ("page.txt", b"\xef\xbb\xbf\n <HTML><p>hi</p>", "html"),
        ("about.md", b"# Formats\n\nA file of that kind begins with %PDF-1.7.\n", "markdown"),
        ("a.MARKDOWN", b"# x", "markdown"),
        ("a.tsv", b"a\tb\n", "csv"),
        ("a.unknown", b"words", "text"),
        ("wide.txt", "words".encode("utf-16"), "text"),
        ("a.txt", xlsx({"S": [["a"], ["b"]]}), "xlsx"),
        ("a.zip", xlsx({"S": [["a"], ["b"]]}), "xlsx"),
        ("a.zip", epub({"c.xhtml": "<p>x</p>"}), "epub"),
        ("a.doc", HTML, "html"),
        ("a.xls", b"<table><tr><td>68</td></tr></table>", "html"),
        ("a.pdf", HTML, "html"),
        ("a.pdf", b"<?xml version='1.0'?>\n<!-- made by x -->\n" + HTML, "html"),
        ("a.txt", b"<SEC-DOCUMENT>\n<TYPE>10-K\n<TEXT>\n<HTML><BODY>68</BODY></HTML>", "html"),
        ("a.md", b'<div align="center">68</div>\n\n# Title\n', "markdown"),
        ("a.doc", b"{\\rtf1 68 euros}", "rtf"),
        ("a.dat", TABLE, "csv"),
        ("a.dat", TABLE.replace(b",", b"\t"), "csv"),
        ("a.dat", b"One, two, three.\nMore words, then none.\nAnd so on.\n", "text"),
        ("a", MAIL, "eml"),
        ("a.txt", MAIL, "eml"),
        ("a.txt", b"From: Ada\nSubject: Price\n\nonly copied\n", "text"),
        ("a.eml", b"Subject: 68\n\nwords\n", "eml"),
        ("a", BOX, "mbox"),
        ("a.mbox", BOX, "mbox"),
        ("a.mbox", MAIL, "eml"),
        ("a.txt", b"From now on it costs 68.\nReally: yes\n", "text"),
        ("a.log", b'{"a": 1}\n{"a": 2}\n', "json"),
        ("a.txt", b'{"a": 1} and other words\nmore\n', "text"),
        ("a.txt", b"GIF89a is the name of a format.\n", "text"),
        ("a.txt", b"The ftyp box comes first.\n", "text"),
        ("a.html", "<p>68 euros</p>".encode("utf-16"), "html"),
        ("a.doc", HTML.decode().encode("utf-16-le"), "html"),
    ],
)
def test_content_decides_before_the_suffix(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert sniff(path) == kind
    assert load(path).kind == kind


def _ole(stream: str) -> bytes:
    """The head of an OLE file: sectors of 512 bytes, the directory in the first of them."""
    head = bytearray(OLE)
    head[30:32] = (9).to_bytes(2, "little")
    return bytes(head) + stream.encode("utf-16-le").ljust(512, b"\x00")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (package({"a.txt": "words"}), "is an archive (zip); unpack it and index the folder"),
        (package({}), "is an archive (zip, and empty); unpack it and index the folder"),
        (package({"META-INF/MANIFEST.MF": ""}), "is an archive (jar); unpack it and index the folder"),
        (package({"xl/workbook.bin": ""}), "is a binary Excel file (.xlsb); save it as .xlsx"),
        (package({"content.xml": ""}), "is an OpenDocument file; save it as .docx, .xlsx or .pptx"),
        (gzip.compress(b"words"), "is an archive (gzip); unpack it and index the folder"),
        (bz2.compress(b"words"), "is an archive (bzip2); unpack it and index the folder"),
        (lzma.compress(b"words"), "is an archive (xz); unpack it and index the folder"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "is an archive (7z); unpack it and index the folder"),
        (b"Rar!\x1a\x07\x01\x00", "is an archive (rar); unpack it and index the folder"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "is an archive (zstd); unpack it and index the folder"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is an image (PNG); it holds no text to index"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "is an image (JPEG); it holds no text to index"),
        (b"ID3\x03\x00\x00", "is a sound file (MP3); it holds no text to index"),
        (b"\x00\x00\x00\x18ftypmp42", "is a film or sound file (MP4); it holds no text to index"),
        (b"SQLite format 3\x00\x10", "is a database (SQLite); it holds no text to index"),
        (_ole("WordDocument"), "is a Word file from before 2007; save it as .docx"),
        (_ole("Workbook"), "is an Excel file from before 2007; save it as .xlsx"),
        (_ole("PowerPoint Document"), "is a PowerPoint file from before 2007; save it as .pptx"),
        (_ole("__substg1.0_0037001F"), "is an Outlook message (.msg); save it as .eml"),
    ],
)
def test_what_no_loader_reads_is_refused_by_its_name(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match=f"^{re.escape(reason)}$"):
        load(path)


def test_a_tar_is_refused_by_its_name_and_a_locked_office_file_asks_for_a_copy(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    path = tmp_path / "a.txt"
    path.write_bytes(raw.getvalue())
    with pytest.raises(UnsupportedError, match=r"^is an archive \(tar\); unpack it and index the folder$"):
        load(path)
    path.write_bytes(_ole("EncryptedPackage"))
    with pytest.raises(LoadError, match=r"^is an Office file with a password; save a copy without one$"):
        load(path)

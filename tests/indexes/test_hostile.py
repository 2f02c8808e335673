"""A folder of files that mean harm: each ends as a document or a reason, and the good ones among them are read."""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from indexes.ingest.discovery import walk
from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool, Outcome
from indexes.text.chunking import chunk
from tests.support.files import OLE, claiming_size, docx, pdf, write

LIMITS = LoadLimits(
    max_file_mib=8, max_seconds=20.0, max_memory_mib=1024, max_characters=2_000_000, max_unpacked_mib=64
)
GOOD: Mapping[str, bytes] = {
    "good.md": b"# Ants\n\nAn ant walks.\n",
    "good.csv": b"name,legs\nant,6\nspider,8\n",
    "good.html": b"<html><body><main><p>An ant walks.</p></main></body></html>",
    "good.pdf": pdf([[("An ant walks.", 12)], [("Another follows.", 12)]]),
    "good.docx": docx([("Heading 1", "Ants"), ("Normal", "An ant walks.")], [["name", "legs"], ["ant", "6"]]),
}
_CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Target="word/document.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _zip(members: Mapping[str, str | bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return raw.getvalue()


def _word(document: str | bytes) -> bytes:
    members = {"[Content_Types].xml": _CONTENT_TYPES, "_rels/.rels": _RELATIONS, "word/document.xml": document}
    return _zip(members)


def _entities(levels: int) -> str:
    """Billion laughs: each entity is ten of the one before."""
    lines = ['<!ENTITY e0 "ha ">', *(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))]
    body = f"<w:body><w:p><w:r><w:t>&e{levels - 1};</w:t></w:r></w:p></w:body>"
    return f'<?xml version="1.0"?><!DOCTYPE d [{"".join(lines)}]><w:document {_WORD}>{body}</w:document>'


def _pdf_of(*objects: str) -> bytes:
    """A PDF of these objects, the first its catalog, with a right cross-reference table."""
    raw, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(raw))
        raw += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start = len(raw)
    raw += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    raw += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    raw += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(raw)


_CATALOG = "<< /Type /Catalog /Pages 2 0 R >>"
_BOMB = b"<w:p>" + bytes((LIMITS.max_unpacked_mib + 16) * 2**20)

# What becomes of them may change with the loaders and their libraries; that something becomes of them must not.
HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "empty.pdf": lambda: b"",
    "blank.txt": lambda: b" \n\t\n" * 1000,
    "nul.txt": lambda: bytes(100_000),
    "random.bin.txt": lambda: os.urandom(200_000),
    "random.pdf": lambda: b"%PDF-1.7\n" + os.urandom(200_000),
    "random.docx": lambda: b"PK\x03\x04" + os.urandom(200_000),
    "image.pdf": lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0" + bytes(99),
    "archive.docx": lambda: _zip({"a.txt": "An ant walks."}),
    "locked.docx": lambda: OLE,
    "locked.pdf": lambda: pdf([[("An ant walks.", 12)]], password="secret"),
    "bomb.docx": lambda: _word(_BOMB),
    "lying-bomb.docx": lambda: claiming_size(_word(_BOMB), "word/document.xml", 100),
    "bomb.epub": lambda: _zip({"mimetype": "application/epub+zip", "META-INF/container.xml": _BOMB}),
    "bomb.xlsx": lambda: _zip({"[Content_Types].xml": _CONTENT_TYPES, "xl/workbook.xml": _BOMB}),
    "bomb.pptx": lambda: _zip({"[Content_Types].xml": _CONTENT_TYPES, "ppt/presentation.xml": _BOMB}),
    "laughs.docx": lambda: _word(_entities(12)),
    "laughs.epub": lambda: _zip({"mimetype": "application/epub+zip", "META-INF/container.xml": _entities(12)}),
    "escaping.docx": lambda: _zip({"[Content_Types].xml": _CONTENT_TYPES, "../../word/document.xml": "<x/>"}),
    "many-members.docx": lambda: _zip({f"word/{number}.xml": "" for number in range(20_000)}),
    "nested.docx": lambda: _word(
        f"<w:document {_WORD}><w:body>{'<w:tbl><w:tr><w:tc>' * 3000}<w:p/></w:body></w:document>"
    ),
    "deep.html": lambda: b"<html><body>" + b"<div>" * 100_000 + b"An ant walks." + b"</div>" * 100_000,
    "deep-tables.html": lambda: b"<table><tr><td>" * 5000 + b"ant",
    "open-tags.html": lambda: b"<html><body>" + b"<b><i><a href=x>" * 50_000,
    "one-line.html": lambda: b"<html><body><p>" + b"ant " * 400_000,
    "deep.json": lambda: b"[" * 1_000_000,
    "deep-objects.json": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep.jsonl": lambda: b'{"a": 1}\n' + b'{"a":' * 100_000 + b"\n",
    "number.json": lambda: b'{"a": ' + b"9" * 1_000_000 + b"}",
    "wide.csv": lambda: b"a," * 1_000_000 + b"\n" + b"1," * 1_000_000,
    "one-cell.csv": lambda: b'a,b\n"' + b"ant " * 500_000,
    "ragged.csv": lambda: b"".join(b"x," * (number % 50) + b"\n" for number in range(20_000)),
    "one-line.txt": lambda: b"x" * 1_900_000,
    "long.txt": lambda: b"ant\n" * 1_000_000,
    "hashes.md": lambda: b"#" * 1_000_000,
    "fences.md": lambda: b"```\n" * 200_000,
    "pipes.md": lambda: b"|" * 1_000_000 + b"\n|---|\n",
    "stars.md": lambda: b"*_" * 500_000,
    "nested.eml": lambda: _mail_in_mail(60),
    "many-parts.eml": lambda: _mail_of(b"--b\n\nant\n" * 50_000),
    "base64.eml": lambda: _mail_of(b"--b\nContent-Transfer-Encoding: base64\n\n" + b"QUFB\n" * 500_000),
    "headers.eml": lambda: b"From: a@b.c\nMessage-ID: <1>\n" + b"Received: x\n" * 100_000 + b"\nAn ant.\n",
    "encoded-words.eml": lambda: (
        b"From: a@b.c\nMessage-ID: <1>\nSubject: " + b"=?utf-8?q?a?= " * 20_000 + b"\n\nAnt.\n"
    ),
    "many.mbox": lambda: b"From a@b.c Mon Jan  1 00:00:00 2024\nFrom: a@b.c\nSubject: x\n\nAn ant.\n\n" * 5000,
    "deep.rtf": lambda: b"{\\rtf1 " + b"{" * 200_000 + b"ant",
    "own-child.pdf": lambda: _pdf_of(_CATALOG, "<< /Type /Pages /Count 9 /Kids [2 0 R 2 0 R 2 0 R] >>"),
    "circle.pdf": lambda: _pdf_of(
        _CATALOG,
        "<< /Type /Pages /Count 2 /Kids [3 0 R] >>",
        "<< /Type /Pages /Parent 2 0 R /Count 2 /Kids [2 0 R] >>",
    ),
    "count.pdf": lambda: _pdf_of(_CATALOG, "<< /Type /Pages /Count 2000000000 /Kids [] >>"),
    "pages.pdf": lambda: _pdf_of(
        _CATALOG,
        f"<< /Type /Pages /Count 30000 /Kids [{'3 0 R ' * 30_000}] >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
    ),
    "box.pdf": lambda: _pdf_of(
        _CATALOG,
        "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [-1e30 -1e30 1e30 1e30] /Contents 4 0 R >>",
        "<< /Length 26 >>\nstream\nBT (An ant walks.) Tj ET    \nendstream",
    ),
    "arrays.pdf": lambda: _pdf_of(_CATALOG, "[" * 100_000),
    **{f"truncated-{name}": partial(bytes, data[: len(data) // 2]) for name, data in GOOD.items()},
    **{f"doubled-{name}": partial(bytes, data + data) for name, data in GOOD.items()},
    **{f"{name}{suffix}": partial(bytes, data) for name, data in GOOD.items() for suffix in (".txt", ".pdf", ".docx")},
}


def _mail_of(body: bytes) -> bytes:
    return b"From: a@b.c\nMessage-ID: <1>\nContent-Type: multipart/mixed; boundary=b\n\n" + body + b"--b--\n"


def _mail_in_mail(depth: int) -> bytes:
    head = b"From: a@b.c\nMessage-ID: <1>\nContent-Type: message/rfc822\n\n"
    return head * depth + b"From: a@b.c\nSubject: the last\n\nAn ant walks.\n"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What became of each file of one folder that holds them all."""
    folder = tmp_path_factory.mktemp("hostile")
    write(folder, {name: make() for name, make in HOSTILE.items()})
    write(folder, {f"{place}-{name}": data for place in ("0", "zz") for name, data in GOOD.items()})
    (folder / "self").symlink_to(folder)
    os.mkfifo(folder / "pipe.pdf")
    Path(os.fsdecode(os.fsencode(folder) + b"/new\nline \xff.md")).write_bytes(GOOD["good.md"])
    found = walk([folder])
    with LoaderPool(LIMITS) as pool:
        loaded = {outcome.path: outcome for outcome in pool.load(c.path for c in found.candidates if not c.skip)}
    return {candidate.name: loaded[candidate.path] for candidate in found.candidates if not candidate.skip}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_document_or_a_reason(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert (outcome.document is None) == bool(outcome.reason)
    assert outcome.reason.isprintable()
    if outcome.document:
        assert len(outcome.document.text) <= LIMITS.max_characters


def test_the_good_files_among_them_are_read(outcomes: dict[str, Outcome]) -> None:
    good = [name for name in outcomes if name.startswith(("0-", "zz-", "new"))]
    assert len(good) == 2 * len(GOOD) + 1
    for name in good:
        document = outcomes[name].document
        assert document, outcomes[name].reason
        assert "ant" in document.text.lower()
        assert "".join(document.text[span.start : span.end] for span in chunk(document)) == document.text


def test_bombs_stay_packed(outcomes: dict[str, Outcome]) -> None:
    for name in ("bomb.docx", "lying-bomb.docx", "bomb.epub", "bomb.xlsx", "bomb.pptx"):
        assert outcomes[name].document is None, name
    for name in ("laughs.docx", "laughs.epub"):
        document = outcomes[name].document
        assert document is None or "ha ha" not in document.text


def test_an_entity_brings_no_other_file_in(tmp_path: Path) -> None:
    write(tmp_path, {"secret": "the password of the ants"})
    entity = f'<!DOCTYPE d [<!ENTITY f SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
    body = "<w:body><w:p><w:r><w:t>An ant &f; walks.</w:t></w:r></w:p></w:body>"
    write(tmp_path, {"x.docx": _word(f"{entity}<w:document {_WORD}>{body}</w:document>")})
    with LoaderPool(LIMITS) as pool:
        (outcome,) = pool.load([tmp_path / "x.docx"])
    assert outcome.document is None or "password" not in outcome.document.text


def test_what_is_only_named_wrongly_is_read(outcomes: dict[str, Outcome]) -> None:
    for name in (f"{good}.txt" for good in ("good.pdf", "good.docx", "good.html")):
        document = outcomes[name].document
        assert document, outcomes[name].reason
        assert document.kind == name.split(".")[1]

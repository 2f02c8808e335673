"""Small sound files of each kind with a few bytes changed: whatever comes of it is a document or a reason."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.loaders.limits import LoadLimits
from indexes.sandbox.pool import LoaderPool
from indexes.text.chunking import chunk
from tests.support.files import docx, pdf

LIMITS = LoadLimits(
    max_file_mib=1, max_seconds=20.0, max_memory_mib=1024, max_characters=1_000_000, max_unpacked_mib=16
)


def _pptx() -> bytes:
    from pptx import Presentation

    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Ants", "An ant walks."
    raw = io.BytesIO()
    show.save(raw)
    return raw.getvalue()


def _xlsx() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    for row in (["name", "legs", "seen"], ["ant", 6, "2024-01-01"], ["spider", 8, None]):
        book.active.append(row)
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def _epub() -> bytes:
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "b.opf": '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="c" href="c.xhtml" '
        'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="c"/></spine></package>',
        "c.xhtml": "<html><body><h1>Ants</h1><p>An ant walks.</p></body></html>",
    }
    return _packed({name: text.encode() for name, text in members.items()})


def _mail() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = "ä@example.org", "b@example.org", "Änts", "<1>"
    mail.set_content("See the attachment, and ä.")
    mail.add_alternative("<p>See the <b>attachment</b>.</p>", subtype="html")
    mail.add_attachment("name,legs\nant,6\n", filename="ants.csv")
    return bytes(mail)


def _packed(members: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return raw.getvalue()


def _unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


SEEDS: Mapping[str, bytes] = {
    "x.pdf": pdf([[("Ants", 20), ("An ant walks.", 12)], [("name legs", 12), ("ant 6", 12)]], title="Ants"),
    "x.docx": docx([("Heading 1", "Ants"), ("List Bullet", "An ant walks.")], [["name", "legs"], ["ant", "6"]]),
    "x.pptx": _pptx(),
    "x.xlsx": _xlsx(),
    "x.epub": _epub(),
    "x.eml": _mail(),
    "x.mbox": b"From a@b.c Mon Jan  1 00:00:00 2024\n"
    + _mail()
    + b"\n\nFrom a@b.c Mon Jan  1 00:00:00 2024\n"
    + _mail(),
    "x.html": b"<html><head><title>Ants</title></head><body><main><h1>Ants</h1><p>An ant &amp; a bee.</p>"
    b"<ul><li>one</ul><table><tr><th>name<th>legs<tr><td>ant<td>6</table></main></body></html>",
    "x.md": "---\ntitle: Änts\n---\n# Änts\n\nAn ant.\n\n```\n# no\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".encode(),
    "x.csv": 'name;legs;note\nant;6;"two\nlines"\nspider;8;ä\n'.encode("cp1252"),
    "x.jsonl": b"".join(
        json.dumps({"name": "ant", "legs": {"left": [1, 2, 3]}, "n": n}).encode() + b"\n" for n in "12"
    ),
    "x.json": json.dumps([{"name": "ant", "legs": 6}, {"name": "spider", "legs": None}]).encode(),
    "x.rtf": rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 An ant \b walks\b0 . \'e4\u228?\par}",
    "x.txt": "1. ANTS\n\nAn ant walks.\n\nFrom: a\nSubject: b\n\nÄmeise\n".encode("utf-16"),
}
_TOKENS = (b"\0", b"\xff", b"\n", b"<", b">", b"&", b'"', b"{", b"[", b"(", b"%", b"-1", b"9" * 30, b"1e999", b"%PDF-")

Mutation = Callable[[bytes], bytes]
_places = st.floats(0, 1, allow_nan=False)


def _between(first: float, second: float, change: Callable[[bytes], bytes]) -> Mutation:
    """Changes what lies between two places of the bytes, given as shares of their length."""

    def mutate(data: bytes) -> bytes:
        start, end = sorted((int(first * len(data)), int(second * len(data))))
        return data[:start] + change(data[start:end]) + data[end:]

    return mutate


_changes = st.one_of(
    st.just(lambda piece: b""),
    st.just(lambda piece: piece * 2),
    st.just(lambda piece: piece * 50),
    st.just(lambda piece: piece[::-1]),
    st.binary(max_size=20).map(lambda noise: lambda piece: noise),
    st.sampled_from(_TOKENS).map(lambda token: lambda piece: token + piece[len(token) :]),
)
_near = st.tuples(_places, st.floats(0, 0.02)).map(lambda pair: (pair[0], min(1.0, pair[0] + pair[1])))
_mutations = st.builds(
    lambda places, change: _between(places[0], places[1], change), _near | st.tuples(_places, _places), _changes
)


@pytest.fixture(scope="module")
def pool() -> Iterator[LoaderPool]:
    with LoaderPool(LIMITS, processes=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


@pytest.mark.parametrize("name", SEEDS)
def test_the_sound_file_is_read(pool: LoaderPool, folder: Path, name: str) -> None:
    (folder / name).write_bytes(SEEDS[name])
    (outcome,) = pool.load([folder / name])
    assert outcome.document, outcome.reason
    assert "ant" in outcome.document.text.lower()


@pytest.mark.parametrize("name", SEEDS)
@settings(deadline=None, max_examples=25)
@given(st.lists(_mutations, min_size=1, max_size=4), st.booleans(), st.integers(0, 99))
def test_a_changed_file_is_a_document_or_a_reason(
    pool: LoaderPool, folder: Path, name: str, mutations: list[Mutation], inside: bool, member: int
) -> None:
    data = SEEDS[name]
    packed = _unpacked(data) if inside and data.startswith(b"PK") else {}
    changed = list(packed)[member % len(packed)] if packed else ""
    for mutate in mutations:
        if packed:
            packed[changed] = mutate(packed[changed])
        else:
            data = mutate(data)
    (folder / name).write_bytes(_packed(packed) if packed else data)
    (outcome,) = pool.load([folder / name])
    assert (outcome.document is None) == bool(outcome.reason)
    assert not outcome.reason.startswith("its reader sent")
    if outcome.document:
        text = outcome.document.text
        assert "".join(text[span.start : span.end] for span in chunk(outcome.document)) == text

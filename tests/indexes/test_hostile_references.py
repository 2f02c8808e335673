"""Documents that point at other files, by name, link or entity: read outside of any sandbox, they bring none in."""

import io
import zipfile
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexes.errors import LoadError
from indexes.loaders import load
from tests.support.files import docx, epub, package, repacked, xlsx

SECRET = "the password of the ants is quetzal"
_XML = '<?xml version="1.0"?>'
_LINK = (
    _XML + '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" TargetMode="External" Target="{uri}" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"/></Relationships>'
)


def _entity(uri: str, root: str) -> str:
    return f'<!DOCTYPE {root} [<!ENTITY f SYSTEM "{uri}"><!ENTITY % p SYSTEM "{uri}"> %p;]>'


def _member(archive: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return source.read(name).decode()


def _with_entity(archive: bytes, name: str, root: str, uri: str, into: str, count: int = 1) -> bytes:
    """The package with an entity of another file declared in a member and used where `into` stands."""
    text = _member(archive, name)
    head, mark, rest = text.partition("?>") if text.startswith("<?xml") else ("", "", text)
    assert into in rest
    return repacked(archive, {name: head + mark + _entity(uri, root) + rest.replace(into, "&f;", count)})


def _slides() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "An ant walks."
    raw = io.BytesIO()
    deck.save(raw)
    return raw.getvalue()


def _mail(name: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = "a@b.c", "d@e.f", "Ants", "<1@b.c>"
    mail.set_content("An ant walks.")
    mail.add_attachment(b"An attached ant.", maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes().replace(b'filename="a\x00b.txt"', b"filename*=utf-8''a%00b.txt")


def _external(kind: str, uri: str) -> bytes:
    """A Word file whose document has an outside part of a kind: a template, a picture, an embedded file."""
    relations = "word/_rels/document.xml.rels"
    base = docx([("Normal", "An ant walks.")])
    own = _member(base, relations)
    link = _LINK.format(uri=uri, kind=kind).partition("<Relationship ")[2].partition("</Relationships>")[0]
    return repacked(base, {relations: own.replace("</Relationships>", f"<Relationship {link}</Relationships>")})


_HTML = (
    '<html><head><link rel="import" href="{uri}"><base href="{uri}"></head><body><p>An ant walks.</p>'
    '<iframe src="{uri}"></iframe><object data="{uri}"></object><embed src="{uri}"><img src="{uri}">'
    '<script src="{uri}"></script><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{uri}" parse="text"/>'
    "</body></html>"
)
_CHAPTER = "<html><body><h1>Ants</h1><p>An ant walks.</p></body></html>"

REFERENCES: Mapping[str, Callable[[str], bytes]] = {
    "entity.docx": lambda uri: _with_entity(
        docx([("Normal", "An ant walks. HERE")]), "word/document.xml", "w:document", uri, "HERE"
    ),
    "entity-title.docx": lambda uri: _with_entity(
        docx([("Normal", "An ant walks.")], title="HERE"), "docProps/core.xml", "d", uri, "HERE"
    ),
    "entity.xlsx": lambda uri: _with_entity(
        xlsx({"Ants": [["HERE", "An ant walks."]]}), "xl/worksheets/sheet1.xml", "worksheet", uri, "HERE"
    ),
    "entity.pptx": lambda uri: _with_entity(_slides(), "ppt/slides/slide1.xml", "p:sld", uri, "An ant walks."),
    "entity.epub": lambda uri: _with_entity(
        epub({"one.xhtml": _CHAPTER.replace("walks", "HERE")}), "OEBPS/one.xhtml", "html", uri, "HERE"
    ),
    "entity-title.epub": lambda uri: _with_entity(
        epub({"one.xhtml": _CHAPTER}, title="HERE"), "OEBPS/book.opf", "package", uri, "HERE"
    ),
    "entity.svg": lambda uri: (
        f'{_XML}{_entity(uri, "svg")}<svg xmlns="http://www.w3.org/2000/svg"><text>An ant &f; walks.</text></svg>'
    ).encode(),
    "entity.html": lambda uri: (
        f"{_XML}{_entity(uri, 'html')}<html><body><p>An ant &f; walks.</p></body></html>"
    ).encode(),
    "links.html": lambda uri: _HTML.format(uri=uri).encode(),
    "links.md": lambda uri: f"An ant walks.\n\n![x]({uri})\n\n<img src='{uri}'>\n\n{{% include {uri} %}}\n".encode(),
    "include.rtf": lambda uri: (
        rb"{\rtf1\ansi An ant walks.{\field{\*\fldinst INCLUDETEXT "
        + uri.encode()
        + rb"}{\fldrslt shown}}{\*\template "
        + uri.encode()
        + rb"}}"
    ),
    "template.docx": lambda uri: _external("attachedTemplate", uri),
    "picture.docx": lambda uri: _external("image", uri),
    "part.docx": lambda uri: _external("aFChunk", uri),
    "object.docx": lambda uri: _external("oleObject", uri),
    "field.docx": lambda uri: repacked(
        docx([("Normal", "An ant walks.")]),
        {
            "word/document.xml": _member(docx([("Normal", "An ant walks.")]), "word/document.xml").replace(
                "<w:p>", f'<w:p><w:fldSimple w:instr="INCLUDETEXT {uri}"><w:r><w:t>shown</w:t></w:r></w:fldSimple>', 1
            )
        },
    ),
    "formula.xlsx": lambda uri: xlsx({"Ants": [["An ant walks.", f"='{uri}'!A1", f'=WEBSERVICE("{uri}")']]}),
    "chapter.epub": lambda uri: _chapter_at(uri),
    "up.epub": lambda uri: _chapter_at("../" * 20 + uri.removeprefix("file:///")),
    "message.eml": lambda uri: (
        "From: a@b.c\nTo: d@e.f\nSubject: Ants\nMessage-ID: <1@b.c>\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\n\nAn ant walks.\n--b\nContent-Type: message/external-body; access-type=local-file;"
        f' name="{uri.removeprefix("file://")}"\n\nContent-Type: text/plain\n\n--b--\n'
    ).encode(),
    "cid.eml": lambda uri: _mail(uri),
}


def _chapter_at(href: str) -> bytes:
    """A book whose second chapter is said to lie elsewhere."""
    book = epub({"one.xhtml": _CHAPTER})
    opf = _member(book, "OEBPS/book.opf")
    opf = opf.replace("</manifest>", f'<item id="c9" href="{href}" media-type="application/xhtml+xml"/></manifest>')
    return repacked(book, {"OEBPS/book.opf": opf.replace("</spine>", '<itemref idref="c9"/></spine>')})


@pytest.mark.parametrize("name", REFERENCES)
def test_no_reference_brings_another_file_in(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.xhtml"
    secret.write_text(f"<html><body><p>{SECRET}</p></body></html>", encoding="utf-8")
    for uri in (secret.as_uri(), str(secret), secret.name):
        path = tmp_path / name
        path.write_bytes(REFERENCES[name](uri))
        try:
            brought = repr(load(path))
        except LoadError as error:
            brought = str(error)
        assert brought
        assert "quetzal" not in brought


NAMES = [
    "../../evil.txt",
    "/etc/cron.d/evil.txt",
    "..\\..\\evil.txt",
    "evil.txt/../../x.txt",
    "a\x00b.txt",
    ".",
    "..",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_attachment_is_written_nowhere_but_in_the_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scratch = tmp_path / "a" / "b" / "scratch"
    scratch.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (tmp_path / "a" / "mail.eml").write_bytes(_mail(name))
    document = load(tmp_path / "a" / "mail.eml")
    assert "An ant walks." in document.text
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "mail.eml", "scratch"]
    assert not Path("/etc/cron.d/evil.txt").exists()


@pytest.mark.parametrize("name", ["../../evil.xml", "/tmp/fathom-evil.xml", "word/../../evil.xml", "..\\evil.xml"])
def test_members_of_packages_are_unpacked_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    scratch = tmp_path / "a" / "scratch"
    scratch.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    link = zipfile.ZipInfo("word/link.xml")
    link.external_attr = 0o120777 << 16  # a symbolic link, for what unpacks it
    for suffix, good in (
        (".docx", docx([("Normal", "An ant walks.")])),
        (".xlsx", xlsx({"Ants": [["An ant walks."]]})),
        (".epub", epub({"one.xhtml": _CHAPTER})),
        (".pptx", _slides()),
        (".zip", package({"a.txt": "x"})),
    ):
        raw = io.BytesIO(good)
        with zipfile.ZipFile(raw, "a") as archive:
            archive.writestr(name, "<x/>")
            archive.writestr(link, "/etc/passwd")
        path = tmp_path / "a" / f"book{suffix}"
        path.write_bytes(raw.getvalue())
        try:
            assert "root:" not in load(path).text
        except LoadError:
            assert suffix in (".zip", ".xlsx", ".pptx", ".docx")
        path.unlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "scratch"]
    assert not Path("/tmp/fathom-evil.xml").exists()

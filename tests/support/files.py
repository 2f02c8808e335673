"""Makes the files that these tests read: PDFs, Word files and folders, whole and damaged."""

import io
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)  # first sector of a password-protected .docx


def pdf(pages: Sequence[Sequence[tuple[str, float]]], title: str = "", password: str = "") -> bytes:
    """A PDF of pages of (line, font size in points); a page without lines is blank."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    raw = io.BytesIO()
    canvas = Canvas(raw, encrypt=StandardEncryption(password) if password else None, invariant=1)
    canvas.setTitle(title)
    for lines in pages:
        y = 780.0
        for line, size in lines:
            y -= size * 1.5
            canvas.setFont("Helvetica", size)
            canvas.drawString(72, y, line)
        canvas.showPage()
    canvas.save()
    return raw.getvalue()


def docx(blocks: Sequence[tuple[str, str]] = (), table: Sequence[Sequence[str]] = (), title: str = "A memo") -> bytes:
    """A Word file of (style, text) paragraphs and one table after them."""
    from docx import Document

    document = Document()
    document.core_properties.title = title
    for style, text in blocks:
        document.add_paragraph(text, style=style)
    if table:
        grid = document.add_table(len(table), len(table[0]))
        for row, texts in zip(grid.rows, table, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    raw = io.BytesIO()
    document.save(raw)
    return raw.getvalue()


def claiming_size(archive: bytes, member: str, size_bytes: int) -> bytes:
    """The archive with the unpacked size in the central directory entry of a member replaced."""
    data = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        position = source.start_dir
    while data[position : position + 4] == b"PK\x01\x02":
        name, extra, comment = struct.unpack_from("<HHH", data, position + 28)
        if data[position + 46 : position + 46 + name].decode() == member:
            struct.pack_into("<I", data, position + 24, size_bytes)
        position += 46 + name + extra + comment
    return bytes(data)


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files below a folder, with the folders that they need; returns the folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, while this process is one of them: permission bits bind, root or not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def unprivileged() -> Iterator[None]:
    """Makes a process of root one of "nobody" for the block; others stay what they are."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.setresuid(nobody, nobody, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def package(members: Mapping[str, str | bytes]) -> bytes:
    """A zip of members, compressed."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return raw.getvalue()


def repacked(archive: bytes, changes: Mapping[str, str | bytes]) -> bytes:
    """The zip with members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members: dict[str, str | bytes] = {name: source.read(name) for name in source.namelist()}
    return package(members | dict(changes))


def word(body: str) -> bytes:
    """A Word file with this XML inside `w:body`, styles those of python-docx's template."""
    with zipfile.ZipFile(io.BytesIO(docx())) as source:
        document = source.read("word/document.xml").decode()
    start, end = document.index("<w:body>") + len("<w:body>"), document.index("</w:body>")
    return repacked(docx(), {"word/document.xml": document[:start] + body + document[end:]})


def xlsx(
    sheets: Mapping[str, Sequence[Sequence[object]]], formats: Mapping[str, str] | None = None, hidden: str = ""
) -> bytes:
    """An Excel file of sheets of rows; `formats` gives number formats by cell of the first sheet (`B2`)."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        if name == hidden:
            sheet.sheet_state = "hidden"
    for cell, code in (formats or {}).items():
        book.worksheets[0][cell].number_format = code
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def epub(chapters: Mapping[str, str], title: str = "A book", author: str = "Ada Byron") -> bytes:
    """An EPUB of XHTML chapters in this order, packed in the opposite one."""
    items = "".join(
        f'<item id="c{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>{title}</dc:title><dc:creator>{author}</dc:creator></metadata>"
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    texts = {f"OEBPS/{name}": text for name, text in reversed(list(chapters.items()))}
    return package(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": opf} | texts
    )


def eml(
    text: str = "", html: str = "", subject: str = "Price", attachments: Mapping[str, bytes] | None = None
) -> bytes:
    """A mail from Ada to Bo of 3 March 2025 with a text, an HTML body or both, and attachments."""
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"] = "Ada Byron <ada@example.org>"
    mail["To"] = "Bo <bo@example.org>"
    mail["Date"] = "Mon, 03 Mar 2025 10:00:00 +0000"
    mail["Subject"] = subject
    mail["Message-ID"] = "<1@example.org>"
    if text or not html:
        mail.set_content(text)
    if html and text:
        mail.add_alternative(html, subtype="html")
    elif html:
        mail.set_content(html, subtype="html")
    for name, content in (attachments or {}).items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()

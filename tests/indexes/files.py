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

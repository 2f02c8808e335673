"""DOCX files: paragraphs, headings, lists and tables in the order of the document."""

import re
import zipfile
import zlib
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError
from .parts import DocumentBuilder, squeeze

MAX_UNPACKED_MIB = 512
_HEADING_STYLE = re.compile(r"^heading (\d)$", re.I)


def load_docx(path: Path) -> LoadedDocument:
    """The text of a DOCX file. DOCX stores no page breaks that a reader may rely on, so pages stay empty."""
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from docx.table import Table
    from docx.text.paragraph import Paragraph
    from lxml.etree import XMLSyntaxError

    _refuse_bomb(path)
    try:
        source = docx.Document(str(path))
        builder = DocumentBuilder()
        for block in source.iter_inner_content():
            if isinstance(block, Table):
                builder.table([[squeeze(cell.text) for cell in row.cells] for row in block.rows])
            elif isinstance(block, Paragraph):
                _paragraph(block.style.name if block.style is not None else "", block.text, builder)
        title = squeeze(source.core_properties.title or "")
    except (
        PackageNotFoundError,
        XMLSyntaxError,
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        ValueError,
        OSError,
    ) as error:
        raise LoadError(f"is truncated or damaged ({squeeze(str(error))[:120]})") from error
    return builder.build("docx", title)


def _refuse_bomb(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise LoadError(f"is truncated or damaged ({error})") from error
    if unpacked > MAX_UNPACKED_MIB * 2**20:
        raise LoadError(f"unpacks to {unpacked / 2**20:.0f} MiB, over the limit of {MAX_UNPACKED_MIB} MiB")


def _paragraph(style: str | None, text: str, builder: DocumentBuilder) -> None:
    style = style or ""
    if match := _HEADING_STYLE.match(style):
        builder.heading(int(match[1]), text)
    elif style.lower() == "title":
        builder.heading(1, text)
    elif style.lower().startswith("list"):
        builder.block("- " + squeeze(text) if text.strip() else "")
    else:
        builder.block(squeeze(text))

"""RTF files: their text, table rows as lines of cells."""

import re
from dataclasses import replace
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError
from .limits import LoadLimits
from .parts import DocumentBuilder, pipe_row, plain_headings
from .rtf_hidden import hidden_for, seen

_MAX_RTF_MIB = 16  # of its own text; pictures are cut before
_FIELD = re.compile(r"\\field(?=\{)", re.I)
_FONT = re.compile(r"(?=\\f\d)")
_CHARSET = re.compile(r"(\\fcharset\d+)")
_PICTURE_HEX = re.compile(r"[0-9a-fA-F\s]{512,}")


def load_rtf(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The text of an RTF file; headings by the heuristic for plain text, since few RTF files mark theirs."""
    source = _PICTURE_HEX.sub("", path.read_bytes().decode("latin-1"))
    if len(source) > _MAX_RTF_MIB * 2**20:
        raise LoadError(f"holds {len(source) / 2**20:.0f} MiB of RTF, over the limit of {_MAX_RTF_MIB} MiB")
    builder = DocumentBuilder(limits)
    shown, reasons = seen(source)
    for reason in reasons:
        builder.hide(reason, _text(hidden_for(source, reason)).replace("|", " "))
    text = _text(shown)
    for line in text.split("\n"):
        cells = line.rstrip().removesuffix("|").split("|")
        builder.block(pipe_row(cells) if line.rstrip().endswith("|") and len(cells) > 1 else line.strip())
    document = builder.build("rtf", "")
    headings = plain_headings(document.text)
    return replace(document, headings=tuple(headings))


def _text(source: str) -> str:
    """The text of RTF as striprtf reads it.

    striprtf finds links and fonts with expressions that take quadratic time and more, but never past a line end. Line
    ends mean nothing in RTF, and of a font only its encoding counts, so its name may end before it begins.
    """
    from striprtf.striprtf import rtf_to_text

    for pattern, cut in ((_FIELD, "\\\\field\n"), (_CHARSET, "\\1 ;\n"), (_FONT, "\n")):
        source = pattern.sub(cut, source)
    return str(rtf_to_text(source, errors="replace"))

"""Variants of documents: text that its reader does not see, and files that cost more than they should."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial

from .arena import Arena
from .case import ANSWERED, FAKE, Case
from .folders import INDEX

HIDDEN = "Mallory receives nine million pounds"
SEEN = "The liability cap is 1 million euros."
QUESTION = "Who receives nine million pounds, is it Mallory?"
_FARTHER = "".join(chr(0xE0000 + ord(letter)) for letter in HIDDEN)
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def document_cases() -> list[Case]:
    """Some sixty variants."""
    return [*_seen_cases(), *_hidden_cases()]


def _seen_cases() -> Iterator[Case]:
    """Text that is seen, though something about it looks as if it were not."""
    shade = "<w:tcPr><w:shd w:val='clear' w:fill='000000'/></w:tcPr>"
    cell = f"<w:p><w:r><w:t>Cap</w:t></w:r></w:p><w:tbl><w:tr><w:tc>{shade}"
    white = f"<w:p><w:r><w:rPr><w:color w:val='FFFFFF'/></w:rPr><w:t>{SEEN}</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    files: dict[str, Callable[[], bytes]] = {
        "white on black.pdf": partial(
            pdf, f"0 0 0 rg 60 690 400 30 re f BT /F1 12 Tf 1 1 1 rg 72 700 Td ({SEEN}) Tj ET"
        ),
        "marked.pdf": partial(pdf, f"1 1 0 rg 60 690 400 30 re f BT /F1 12 Tf 0 0 0 rg 72 700 Td ({SEEN}) Tj ET"),
        "small.pdf": partial(pdf, f"BT /F1 6 Tf 72 700 Td ({SEEN}) Tj ET"),
        "white on black.html": partial(
            str.encode, f"<div style='background:#000'><p style='color:#fff'>{SEEN}</p></div>"
        ),
        "shown again.html": partial(
            str.encode, f"<p style='visibility:hidden'>x<b style='visibility:visible'>{SEEN}</b></p><p>Cap.</p>"
        ),
        "unhidden.docx": partial(
            docx, f"</w:rPr><w:t> </w:t></w:r></w:p>{cell}{white}<w:p><w:r><w:rPr><w:vanish w:val='0'/>"
        ),
        "unhidden.rtf": partial(str.encode, "{\\rtf1\\ansi {\\v a}\\v0 " + SEEN + "\\par}"),
        "a flag.txt": partial(str.encode, f"{SEEN} 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f\n"),
    }
    for name, make in files.items():
        yield Case(
            "document",
            f"control: {name}",
            partial(put, name=name, make=make),
            (INDEX, ("search", "liability cap", "--mode", "lexical", "--json")),
            must=(SEEN,),
            codes=ANSWERED,
        )


def _hidden_cases() -> Iterator[Case]:
    files: dict[str, Callable[[], bytes]] = {
        **{f"a {name}.html": partial(str.encode, page) for name, page in _PAGES.items()},
        **{f"b {name}.docx": partial(docx, run) for name, run in _RUNS.items()},
        **{f"c {name}.pdf": partial(pdf, drawn) for name, drawn in _DRAWN.items()},
        **{f"d {name}.rtf": partial(str.encode, rtf) for name, rtf in _RTF.items()},
        **{f"e {name}.txt": partial(str.encode, text) for name, text in _TEXTS.items()},
        **{f"f {name}.xlsx": partial(xlsx, name) for name in _SHEETS},
        **{f"g {name}.pptx": partial(pptx, name) for name in _SLIDES},
        "h mail.eml": lambda: (
            f"From: a@example.com\nSubject: Cap\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n"
            f"<p>{SEEN}</p><div style='display:none'><p>{HIDDEN}</p></div>"
        ).encode(),
    }
    for name, make in files.items():
        yield Case(
            "document",
            f"hidden text: {name[2:]}",
            partial(put, name=name[2:], make=make),
            (INDEX, ("search", QUESTION, "--mode", "lexical", "--json"), ("ask", QUESTION, *FAKE, "--json")),
            never=(HIDDEN, HIDDEN[::-1]),
            look=_kept_apart,
        )


def put(arena: Arena, name: str, make: Callable[[], bytes]) -> None:
    (arena.room / name).write_bytes(make())


def _kept_apart(arena: Arena) -> Iterator[str]:
    """What was seen is found, and the hidden text is told of and found on request."""
    if "1 million" not in arena.run("search", "liability cap", "--mode", "lexical", "--json").out:
        yield "lost: the text that is seen"
    if "does not see" not in arena.run("status", "--json").out:
        yield "silent: no note says that text is hidden"
    # In a process that is not looked at for the words, since here they must be said.
    said = arena.run("search", QUESTION, "--hidden", "--json").out
    arena.ran.pop()
    if "Mallory" not in said:
        yield f"lost: the hidden text is not found on request: {said[:200]!r}"


_PAGES = {
    "none": f"<p>{SEEN}</p><p style='display:none'>{HIDDEN}</p>",
    "none above": f"<p>{SEEN}</p><div style='display: none !important'><section><p>{HIDDEN}</p></section></div>",
    "none in a cell": f"<p>{SEEN}</p><table><tr><th>A</th></tr><tr><td>1"
    f"<span style='display:none'>{HIDDEN}</span></td></tr></table>",
    "none in a heading": f"<h1>Cap<span hidden>{HIDDEN}</span></h1><p>{SEEN}</p>",
    "none in pre": f"<p>{SEEN}</p><pre>code<span style='display:none'>{HIDDEN}</span></pre>",
    "none by a class": f"<style>.x {{ display: none }}</style><p>{SEEN}</p><p class='x'>{HIDDEN}</p>",
    "invisible": f"<p>{SEEN}</p><p style='visibility:hidden'>{HIDDEN}</p>",
    "transparent": f"<p>{SEEN}</p><p style='opacity:0'>{HIDDEN}</p>",
    "tiny": f"<p>{SEEN}</p><p style='font-size:0px'>{HIDDEN}</p>",
    "white": f"<body style='background:#fff'><p>{SEEN}</p><p style='color:#ffffff'>{HIDDEN}</p>",
    "outside": f"<p>{SEEN}</p><p style='position:absolute; left:-9999px'>{HIDDEN}</p>",
}
_RUNS = {
    "vanished": "<w:vanish/>",
    "white": '<w:color w:val="FFFFFF"/>',
    "tiny": '<w:sz w:val="2"/>',
    "hidden on the web": "<w:webHidden/><w:vanish/>",
}
_DRAWN = {
    "mode 3": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj 0 -20 Td 3 Tr ({HIDDEN}) Tj ET",
    "white": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj 0 -20 Td 1 1 1 rg ({HIDDEN}) Tj ET",
    "tiny": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj 0 -20 Td /F1 0.5 Tf ({HIDDEN}) Tj ET",
    "outside": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj 3000 -20 Td ({HIDDEN}) Tj ET",
    "covered": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj 0 -40 Td ({HIDDEN}) Tj ET 0 0 0 rg 60 650 400 22 re f",
    "clipped": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj ET q 0 0 10 10 re W n BT /F1 12 Tf 72 600 Td ({HIDDEN}) Tj ET Q",
    "layer": f"BT /F1 12 Tf 72 700 Td ({SEEN}) Tj ET /OC /L1 BDC BT /F1 12 Tf 72 600 Td ({HIDDEN}) Tj ET EMC",
}
_RTF = {
    "vanished": "{\\rtf1\\ansi " + SEEN + "\\par {\\v " + HIDDEN + "}\\par}",
    "vanished until": "{\\rtf1\\ansi " + SEEN + "\\par \\v " + HIDDEN + "\\v0  ants\\par}",
    "white": "{\\rtf1\\ansi{\\colortbl;\\red255\\green255\\blue255;}" + SEEN + "\\par {\\cf1 " + HIDDEN + "}\\par}",
}
_TEXTS = {
    "tags": f"{SEEN}{_FARTHER}\n",
    "override": f"{SEEN}\n\u202e{HIDDEN[::-1]}\u202c\n",
    "selectors": SEEN + "😀" + "".join(chr(0xE0100 + ord(letter) - 16) for letter in HIDDEN) + "\n",
}
_SHEETS = ("hidden sheet", "very hidden sheet", "hidden row", "hidden column", "empty format", "white")
_SLIDES = ("hidden slide", "hidden shape", "outside")


def zipped(members: dict[str, str]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return raw.getvalue()


def docx(properties: str) -> bytes:
    """A Word file with a run that is seen and one with these properties."""
    body = (
        f"<w:p><w:r><w:t>{SEEN}</w:t></w:r></w:p><w:p><w:r><w:rPr>{properties}</w:rPr><w:t>{HIDDEN}</w:t></w:r></w:p>"
    )
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Target="word/document.xml" Type="{_OFFICE}/officeDocument"/></Relationships>',
            "word/document.xml": f"<w:document {_WORD}><w:body>{body}</w:body></w:document>",
        }
    )


def xlsx(way: str) -> bytes:
    """A workbook that hides a row, column, sheet or cell."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["what", "value", "remark"])
    sheet.append(["cap", SEEN, "ok"])
    if way.endswith("sheet"):
        other = book.create_sheet("Other")
        other.append(["what", "value"])
        other.append(["x", HIDDEN])
        other.sheet_state = "veryHidden" if way.startswith("very") else "hidden"
    elif way == "hidden column":
        sheet["D2"] = HIDDEN
        sheet.column_dimensions["D"].hidden = True
    else:
        sheet.append(["x", HIDDEN, "y"])
        if way == "hidden row":
            sheet.row_dimensions[3].hidden = True
        elif way == "empty format":
            sheet["B3"].number_format = ";;;"
        else:
            sheet["B3"].font = Font(color="FFFFFFFF")
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def pptx(way: str) -> bytes:
    """A deck that hides a slide or a shape."""
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    blank = deck.slide_layouts[6]
    slide = deck.slides.add_slide(blank)
    slide.shapes.add_textbox(Inches(1), Inches(1), Inches(6), Inches(1)).text_frame.text = SEEN
    if way == "hidden slide":
        slide = deck.slides.add_slide(blank)
        slide.element.set("show", "0")
    box = slide.shapes.add_textbox(Inches(90 if way == "outside" else 1), Inches(3), Inches(6), Inches(1))
    box.text_frame.text = HIDDEN
    if way == "hidden shape":
        box.element.nvSpPr.cNvPr.set("hidden", "1")
    raw = io.BytesIO()
    deck.save(raw)
    return raw.getvalue()


def pdf(drawn: str, more: str = "") -> bytes:
    """A PDF of one page, with a layer that is off, drawn by these operators."""
    stream = zlib.compress(drawn.encode())
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] >> >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources "
        b"<< /Font << /F1 5 0 R >> /Properties << /L1 6 0 R >> >> >>",
        f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode() + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /OCG /Name (Layer) >>",
        *([more.encode()] if more else []),
    ]
    raw, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(raw))
        raw += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(raw)
    raw += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    raw += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    raw += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(raw)

"""Makes the data room's DOCX and PDF files from their Markdown sources, byte for byte the same each time.

Run from the repository's root: python examples/build_dealroom.py [--check]
With --check nothing is written; the exit code is 1 where a file differs from what its source gives.
"""

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import markdown_it

HERE = Path(__file__).parent
PDFS = (
    "marrowbay/safety-and-technical-review",
    "quillhaven/clinical-quality-study",
    "brightseam/technical-due-diligence",
)
DOCXS = (
    "marrowbay/customer-interviews",
    "quillhaven/data-processing-agreement",
    "brightseam/customer-interviews",
)
DATE = datetime(2026, 10, 31, tzinfo=UTC)

# (kind, text or rows): heading1…heading3, paragraph, bullet, number, table
Block = tuple[str, Any]


def blocks(source: str) -> Iterator[Block]:
    """The blocks of a Markdown text: headings, paragraphs, list items and tables, emphasis removed."""
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(source)
    kind, rows, row, number = "paragraph", [], [], 0
    for token in tokens:
        match token.type:
            case "heading_open":
                kind = f"heading{token.tag[1]}"
            case "ordered_list_open":
                number = int(token.attrs.get("start", 1)) - 1
            case "list_item_open":
                number += 1
                kind = f"number {number}" if token.markup in (".", ")") else "bullet"
            case "heading_close" | "list_item_close":
                kind = "paragraph"
            case "table_open":
                rows = []
            case "tr_open":
                row = []
            case "tr_close":
                rows.append(row)
            case "table_close":
                yield "table", rows
                rows = []
            case "inline":
                text = "".join(child.content or " " for child in token.children or [] if child.type != "html_inline")
                if token.level >= 3 and tokens and _in_table(tokens, token):
                    row.append(text)
                else:
                    yield kind, text


def _in_table(tokens: list[Any], token: Any) -> bool:
    index = next(i for i, other in enumerate(tokens) if other is token)
    return tokens[index - 1].type in ("td_open", "th_open")


def build_docx(source: str) -> bytes:
    """A DOCX with Word's built-in heading, list and table styles."""
    from docx import Document

    document = Document()
    for kind, content in blocks(source):
        if kind.startswith("heading"):
            document.add_heading(content, int(kind[-1]))
        elif kind == "table":
            table = document.add_table(len(content), len(content[0]), style="Table Grid")
            for cells, texts in zip(table.rows, content, strict=True):
                for cell, text in zip(cells.cells, texts, strict=True):
                    cell.text = text
        elif kind == "bullet":
            document.add_paragraph(content, style="List Bullet")
        elif kind.startswith("number"):
            document.add_paragraph(f"{kind.split()[1]}. {content}")
        else:
            document.add_paragraph(content)
    properties = document.core_properties
    properties.title = next(text for kind, text in blocks(source) if kind == "heading1")
    properties.author, properties.created, properties.modified = "", DATE, DATE
    raw = io.BytesIO()
    document.save(raw)
    return _same_dates(raw.getvalue())


def _same_dates(docx: bytes) -> bytes:
    """The archive with fixed time stamps, so that equal sources give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, DATE.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return out.getvalue()


def build_pdf(source: str) -> bytes:
    """An A4 PDF with page numbers; the font is one that ships with reportlab, so that every letter is there."""
    import reportlab
    from reportlab import rl_config
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    rl_config.invariant = 1
    fonts = Path(reportlab.__file__).parent / "fonts"
    for name, file in (("Body", "Vera.ttf"), ("Bold", "VeraBd.ttf")):
        pdfmetrics.registerFont(TTFont(name, str(fonts / file)))
    body = ParagraphStyle("body", fontName="Body", fontSize=9.5, leading=13.5, spaceAfter=6)
    cell = ParagraphStyle("cell", parent=body, fontSize=8, leading=10, spaceAfter=0)
    bullet = ParagraphStyle("bullet", parent=body, leftIndent=14, bulletIndent=4, spaceAfter=3)
    heads = {
        f"heading{level}": ParagraphStyle(
            f"heading{level}",
            fontName="Bold",
            fontSize=size,
            leading=size * 1.3,
            spaceBefore=10,
            spaceAfter=5,
            keepWithNext=1,
        )
        for level, size in ((1, 17), (2, 13), (3, 10.5))
    }
    story: list[Any] = []
    title = ""
    for kind, content in blocks(source):
        if kind.startswith("heading"):
            title = title or content
            story.append(Paragraph(_drawn(content), heads[kind]))
        elif kind == "table":
            width = (A4[0] - 100) / len(content[0])
            rows = [[Paragraph(_drawn(text), cell) for text in row] for row in content]
            grid = TableStyle(
                [
                    ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                    ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                ]
            )
            story += [Table(rows, [width] * len(content[0]), style=grid, repeatRows=1), Spacer(1, 8)]
        elif kind == "bullet":
            story.append(Paragraph(_drawn(content), bullet, bulletText="-"))
        elif kind.startswith("number"):
            story.append(Paragraph(_drawn(content), bullet, bulletText=f"{kind.split()[1]}."))
        else:
            story.append(Paragraph(_drawn(content), body))

    def footer(canvas: Any, document: Any) -> None:
        canvas.setFont("Body", 7.5)
        canvas.drawCentredString(A4[0] / 2, 28, f"Page {document.page}")

    raw = io.BytesIO()
    template = SimpleDocTemplate(
        raw, pagesize=A4, leftMargin=50, rightMargin=50, topMargin=50, bottomMargin=50, title=title, author=""
    )
    template.build(story, onFirstPage=footer, onLaterPages=footer)
    return raw.getvalue()


def _drawn(text: str) -> str:
    """The text for reportlab, letters that the font lacks replaced by their nearest."""
    return escape(
        text.replace("−", "-").replace("ń", "n").replace("‑", "-").replace("≥", "at least ").replace("≤", "at most ")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    check = parser.parse_args().check
    stale = 0
    for name, suffix, build in [
        *((name, ".pdf", build_pdf) for name in PDFS),
        *((name, ".docx", build_docx) for name in DOCXS),
    ]:
        made = build((HERE / "sources" / f"{name}.md").read_text(encoding="utf-8"))
        target = HERE / "dealroom" / f"{name}{suffix}"
        if check:
            if not target.exists() or target.read_bytes() != made:
                print(f"stale: {target}")
                stale += 1
        else:
            target.write_bytes(made)
            print(f"{target} {len(made):,} bytes")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

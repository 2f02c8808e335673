"""Word files: order of blocks, headings, tables, notes, tracked changes, and archives that must not be opened."""

import io
from pathlib import Path
from zipfile import ZipFile

import pytest

from indexes.documents import LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import LoadLimits, load
from tests.support.files import claiming_size, docx, repacked, word

NOTES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _load(tmp_path: Path, content: bytes, limits: LoadLimits | None = None) -> LoadedDocument:
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    return load(path, limits)


def _p(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_blocks_keep_their_order_and_kind(tmp_path: Path) -> None:
    document = _load(
        tmp_path,
        docx(
            [
                ("Title", "The deal"),
                ("Heading 1", "Price"),
                ("Normal", "It costs\n  €9 million."),
                ("List Bullet", "cash"),
                ("Normal", ""),
                ("Heading 2", "Terms"),
            ],
            [["Year", "Sales | net"], ["2025", "11,420"]],
        ),
    )
    assert document.text == (
        "# The deal\n\n# Price\n\nIt costs €9 million.\n\n- cash\n\n## Terms\n\n"
        "| Year | Sales \\| net |\n| 2025 | 11,420 |\n"
    )
    assert [(heading.level, heading.title) for heading in document.headings] == [
        (1, "The deal"),
        (1, "Price"),
        (2, "Terms"),
    ]
    assert document.pages == ()


def test_headings_and_tables_stand_where_they_say(tmp_path: Path) -> None:
    document = _load(tmp_path, docx([("Heading 1", "Größe 🌊"), ("Normal", "x")], [["a", "b"], ["1", "2"]]))
    heading, table = document.headings[0], document.tables[0]
    assert document.text[heading.start :].startswith("# Größe 🌊\n")
    assert document.text[table.start : table.end] == "| a | b |\n| 1 | 2 |\n"
    assert table.header == "| a | b |"


def test_the_title_is_the_property_and_else_the_first_heading(tmp_path: Path) -> None:
    assert _load(tmp_path, docx([("Heading 1", "Price")], title="Named")).title == "Named"
    assert _load(tmp_path, docx([("Normal", "x"), ("Heading 1", "Price")], title="")).title == "Price"


def test_an_outline_level_makes_a_heading_of_any_style(tmp_path: Path) -> None:
    body = '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Deep</w:t></w:r></w:p>' + _p("text")
    document = _load(tmp_path, word(body))
    assert [(heading.level, heading.title) for heading in document.headings] == [(3, "Deep")]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<w:p><w:r><w:t>pays </w:t></w:r><w:ins><w:r><w:t>70</w:t></w:r></w:ins></w:p>", "pays 70\n"),
        ("<w:p><w:r><w:t>pays</w:t></w:r><w:del><w:r><w:delText>68</w:delText></w:r></w:del></w:p>", "pays\n"),
        ("<w:p><w:moveFrom><w:r><w:t>old</w:t></w:r></w:moveFrom><w:r><w:t>new</w:t></w:r></w:p>", "new\n"),
        (f"<w:sdt><w:sdtContent>{_p('in a control')}</w:sdtContent></w:sdt>", "in a control\n"),
        (
            "<w:p><w:sdt><w:sdtContent><w:r><w:t>in</w:t></w:r></w:sdtContent></w:sdt><w:r><w:t>line</w:t></w:r></w:p>",
            "inline\n",
        ),
        ("<w:p><w:hyperlink><w:r><w:t>a link</w:t></w:r></w:hyperlink></w:p>", "a link\n"),
        ("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>", "a b c\n"),
        (
            f"<w:p><w:r><w:t>around</w:t><w:pict><w:txbxContent>{_p('in a box')}</w:txbxContent></w:pict></w:r></w:p>",
            "around\n\nin a box\n",
        ),
        ("<w:p><w:r><w:instrText>PAGE</w:instrText><w:t>7</w:t></w:r></w:p>", "7\n"),
    ],
)
def test_what_a_reader_of_the_document_sees_is_its_text(tmp_path: Path, body: str, text: str) -> None:
    assert _load(tmp_path, word(body)).text == text


def test_a_drawing_that_is_told_twice_is_read_once(tmp_path: Path) -> None:
    alternative = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = f"<w:txbxContent>{_p('in a box')}</w:txbxContent>"
    body = (
        f'<w:p><w:r><mc:AlternateContent xmlns:mc="{alternative}"><mc:Choice Requires="wps">{box}</mc:Choice>'
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert _load(tmp_path, word(body)).text == "in a box\n"


def test_a_merged_cell_is_told_in_each_row_and_a_frame_of_one_cell_is_no_table(tmp_path: Path) -> None:
    def cell(text: str, settings: str = "") -> str:
        return f"<w:tc><w:tcPr>{settings}</w:tcPr>{_p(text)}</w:tc>"

    rows = (
        cell("North", '<w:vMerge w:val="restart"/>') + cell("a"),
        cell("", "<w:vMerge/>") + cell("b"),
        cell("both", '<w:gridSpan w:val="2"/>'),
    )
    merged = "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"
    assert _load(tmp_path, word(merged)).text == "| North | a |\n| North | b |\n| both |  |\n"
    frame = f"<w:tbl><w:tr>{cell('framed')}</w:tr></w:tbl>"
    assert _load(tmp_path, word(frame)).tables == ()
    nested = f"<w:tbl><w:tr><w:tc>{_p('x')}{merged}</w:tc>{cell('y')}</w:tr></w:tbl>"
    assert _load(tmp_path, word(nested)).text == "| x North a b both | y |\n"


def test_a_footnote_follows_the_paragraph_that_refers_to_it(tmp_path: Path) -> None:
    content = word('<w:p><w:r><w:t>Sales rose.</w:t><w:footnoteReference w:id="2"/></w:r></w:p>' + _p("Next."))
    with ZipFile(io.BytesIO(content)) as archive:
        relations = archive.read("word/_rels/document.xml.rels").decode()
        types = archive.read("[Content_Types].xml").decode()
    note = f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:id="2">{_p("Not audited.")}</w:footnote></w:footnotes>'
    content = repacked(
        content,
        {
            "word/footnotes.xml": note,
            "word/_rels/document.xml.rels": relations.replace(
                "</Relationships>", f'<Relationship Id="rId99" Type="{NOTES}" Target="footnotes.xml"/></Relationships>'
            ),
            "[Content_Types].xml": types,
        },
    )
    assert _load(tmp_path, content).text == "Sales rose.\n\n[Footnote: Not audited.]\n\nNext.\n"


def test_styles_based_on_each_other_in_a_circle_are_read(tmp_path: Path) -> None:
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{own}"><w:name w:val="{own}"/><w:basedOn w:val="{other}"/></w:style>'
        for own, other in ("AB", "BA")
    )
    styles = f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>'
    body = '<w:p><w:pPr><w:pStyle w:val="A"/></w:pPr><w:r><w:t>x</w:t></w:r></w:p>'
    assert _load(tmp_path, repacked(word(body), {"word/styles.xml": styles})).text == "x\n"


def test_a_file_without_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"^holds no text$"):
        _load(tmp_path, docx())


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.95])
def test_a_truncated_file_says_so(tmp_path: Path, share: float) -> None:
    content = docx([("Normal", "words")])
    with pytest.raises(LoadError, match=r"^is truncated or damaged \("):
        _load(tmp_path, content[: int(len(content) * share)])


def test_a_damaged_member_says_so(tmp_path: Path) -> None:
    content = docx([("Normal", "words " * 200)])
    at = content.index(b"word/document.xml") + 40
    with pytest.raises(LoadError, match=r"^is truncated or damaged \("):
        _load(tmp_path, content[:at] + b"\xff" * 60 + content[at + 60 :])


@pytest.mark.parametrize("claimed", [None, 100])
def test_an_archive_that_unpacks_beyond_the_limit_is_refused_whatever_it_claims(
    tmp_path: Path, claimed: int | None
) -> None:
    bomb = repacked(docx([("Normal", "x")]), {"word/media/a.bin": bytes(3 * 2**20)})
    if claimed:
        bomb = claiming_size(bomb, "word/media/a.bin", claimed)
    with pytest.raises(LoadError, match=r"^unpacks to more than the limit of 2 MiB$|^is truncated or damaged"):
        _load(tmp_path, bomb, LoadLimits(max_unpacked_mib=2))


def test_entities_that_multiply_and_those_that_name_files_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("told")
    laughs = "".join(f"<!ENTITY l{n} '{ten}'>" for n in range(1, 12) for ten in [f"&l{n - 1};" * 10])
    whole = repacked(docx(), {})
    with ZipFile(io.BytesIO(word(_p("kept &l11; &file; kept")))) as archive:
        document = archive.read("word/document.xml").decode()
    at = document.index("<w:document")
    kinds = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}<!ENTITY file SYSTEM "{secret.as_uri()}">]>'
    try:
        text = _load(tmp_path, repacked(whole, {"word/document.xml": document[:at] + kinds + document[at:]})).text
    except LoadError as error:
        text = str(error)
    assert "told" not in text
    assert len(text) < 1000


def test_a_template_or_a_file_with_macros_says_so(tmp_path: Path) -> None:
    with ZipFile(io.BytesIO(docx([("Normal", "x")]))) as archive:
        types = archive.read("[Content_Types].xml").decode()
    macros = types.replace(
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        "application/vnd.ms-word.document.macroEnabled.main+xml",
    )
    with pytest.raises(LoadError, match=r"holds macros; save it as a plain \.docx$"):
        _load(tmp_path, repacked(docx(), {"[Content_Types].xml": macros}))

"""Word files: what Word never shows, such as codes of fields and alternatives for other programs, is not read."""

from pathlib import Path

import pytest

from indexes.documents import LoadedDocument
from indexes.loaders import load
from tests.support.files import word

MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
WPS = "http://schemas.microsoft.com/office/word/2010/wordprocessingShape"


def _load(tmp_path: Path, body: str) -> LoadedDocument:
    (tmp_path / "a.docx").write_bytes(word(body))
    return load(tmp_path / "a.docx")


def _r(content: str) -> str:
    return f"<w:r>{content}</w:r>"


def _t(text: str) -> str:
    return _r(f'<w:t xml:space="preserve">{text}</w:t>')


def _field(kind: str) -> str:
    return _r(f'<w:fldChar w:fldCharType="{kind}"/>')


BEGIN, SEPARATE, END = _field("begin"), _field("separate"), _field("end")


@pytest.mark.parametrize(
    "runs",
    [
        BEGIN + _t("9 million") + SEPARATE + _t("1 million") + END,
        _t("1 million") + BEGIN + _t("9 million") + END,
        BEGIN + BEGIN + SEPARATE + _t("9 million") + END + SEPARATE + _t("1 million") + END,
    ],
)
def test_text_in_the_code_of_a_field_is_kept_apart(tmp_path: Path, runs: str) -> None:
    document = _load(tmp_path, f"<w:p>{runs}</w:p>")
    assert document.text == "1 million\n"
    assert [(item.reason, item.text) for item in document.hidden] == [("marked hidden", "9 million")]


def test_a_field_that_does_not_end_hides_nothing(tmp_path: Path) -> None:
    assert _load(tmp_path, f"<w:p>{BEGIN}{_t('1 million')}</w:p>").text == "1 million\n"


@pytest.mark.parametrize(("space", "seen"), [("urn:unknown", "old"), (WPS, "new"), (WPS + "/9", "old")])
def test_of_two_alternatives_the_one_that_word_shows_is_read(tmp_path: Path, space: str, seen: str) -> None:
    new = f'<mc:Choice Requires="x" xmlns:x="{space}"><w:t>new</w:t></mc:Choice>'
    runs = _r(f"<mc:AlternateContent {MC}>{new}<mc:Fallback><w:t>old</w:t></mc:Fallback></mc:AlternateContent>")
    assert _load(tmp_path, f"<w:p>{runs}</w:p>").text == f"{seen}\n"

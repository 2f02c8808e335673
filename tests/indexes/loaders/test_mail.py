"""Mail: headings, bodies, attachments of every kind, broken charsets and messages made to break a parser."""

import base64
import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexes.documents import HiddenText, LoadedDocument
from indexes.errors import LoadError
from indexes.loaders import load
from indexes.loaders.hidden.reasons import MARKED, OTHER_VERSION
from tests.support.files import docx, eml, package, pdf

HEAD = "From: Ada Byron <ada@example.org>\nSubject: Price\nDate: Mon, 03 Mar 2025 10:00:00 +0000\nMIME-Version: 1.0\n"
SHOWN = (
    "# Price (from Ada Byron, 2025-03-03)\n\nFrom: Ada Byron <ada@example.org>\nTo: Bo <bo@example.org>\n"
    "Date: Mon, 03 Mar 2025 10:00:00 +0000\nSubject: Price\n\n"
)


def _load(tmp_path: Path, content: bytes | str, name: str = "a.eml") -> LoadedDocument:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path)


def test_a_message_has_a_heading_its_header_lines_and_its_text(tmp_path: Path) -> None:
    document = _load(tmp_path, eml("It costs 68 euros.\n"))
    assert document.text == SHOWN + "It costs 68 euros.\n"
    assert document.title == "Price"
    assert [(heading.level, heading.start) for heading in document.headings] == [(1, 0)]


def test_html_goes_through_its_loader_beside_plain_text_too(tmp_path: Path) -> None:
    assert _load(tmp_path, eml("plain", "<p>rich</p>")).text == SHOWN + "rich\n"
    assert _load(tmp_path, eml(html="<p>rich</p><script>x</script>")).text == SHOWN + "rich\n"


def test_each_attachment_is_read_by_its_own_loader_below_its_name(tmp_path: Path) -> None:
    document = _load(
        tmp_path,
        eml(
            "see below",
            attachments={
                "memo.docx": docx([("Heading 1", "Terms"), ("Normal", "Cash.")], [["a", "b"]]),
                "plan.pdf": pdf([[("A plan in PDF.", 10)]]),
                "all.zip": package({"x": "y"}),
                "photo.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
            },
        ),
    )
    assert "\n## Attachment: memo.docx\n\n# Terms\n\nCash.\n\n| a | b |\n\n## Attachment: plan.pdf\n" in document.text
    assert "A plan in PDF." in document.text
    assert "Attachment all.zip: not read (is an archive (zip); unpack it and index the folder)" in document.text
    assert "Attachment photo.jpg: not read (is an image (JPEG); it holds no text to index)" in document.text
    assert [(h.level, h.title) for h in document.headings][:3] == [
        (1, "Price (from Ada Byron, 2025-03-03)"),
        (2, "Attachment: memo.docx"),
        (3, "Terms"),
    ]
    for heading in document.headings:
        assert heading.title in document.text[heading.start : heading.end_of_line(document.text)]
    assert document.text[document.tables[0].start : document.tables[0].end].strip() == document.tables[0].header


def test_encoded_words_charsets_and_transfer_encodings_are_decoded(tmp_path: Path) -> None:
    head = "From: =?iso-8859-1?Q?J=FCrgen?= <j@x>\nSubject: =?utf-8?B?R3LDtsOfZQ==?=\nMIME-Version: 1.0\n"
    quoted = (
        head
        + "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
        + "Z=FCrich =\nzahlt.\n"
    )
    document = _load(tmp_path, quoted)
    assert document.title == "Größe"
    assert document.text.startswith("# Größe (from Jürgen)\n")
    assert document.text.endswith("\n\nZürich zahlt.\n")


@pytest.mark.parametrize(
    "content",
    [
        HEAD + "Content-Type: text/plain; charset=no-such\n\nwörds\n",
        HEAD + "Content-Type: text/plain; charset=\n\nwörds\n",
        HEAD + "Content-Transfer-Encoding: base64\n\n" + base64.b64encode("wörds and more".encode()).decode()[:-1],
        HEAD + "Content-Type: multipart/mixed\n\nwörds\n",
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nwörds\n",
        HEAD.replace("Price", "=?bogus?Q?x?= =?utf-8?B?!!!?=") + "\nwörds\n",
        HEAD.replace("Mon, 03 Mar 2025", "Never") + "\nwörds\n",
    ],
)
def test_a_malformed_message_keeps_its_words(tmp_path: Path, content: str) -> None:
    assert "wörds" in _load(tmp_path, content).text


def test_a_message_inside_itself_is_read_to_a_depth_and_then_named(tmp_path: Path) -> None:
    message = HEAD + "\nbottom\n"
    for _ in range(50):
        parts = f"--b\n\nlevel\n--b\nContent-Type: message/rfc822\n\n{message}\n--b--\n"
        message = f"{HEAD}Content-Type: multipart/mixed; boundary=b\n\n{parts}".replace("=b\n", f"=b{_}\n", 1).replace(
            "--b\n", f"--b{_}\n", 2
        )
        message = message.replace("\n--b--\n", f"\n--b{_}--\n")
    text = _load(tmp_path, message).text
    assert text.count("# Price (from Ada Byron") == 6  # the outermost and five inside
    assert "not read (attachments lie inside each other too deeply)" in text


@pytest.mark.parametrize(
    "content",
    [
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nhi\n" * 6_000,
        HEAD + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(2000)) + "\nhi",
    ],
    ids=["6,000 parts", "2,000 levels"],
)
def test_more_parts_than_any_mail_has_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(LoadError, match="parts"):
        _load(tmp_path, content)


def test_headers_without_end_are_cut_and_a_name_is_only_a_name(tmp_path: Path) -> None:
    text = _load(tmp_path, HEAD + "To: " + "a@example.org, " * 50_000 + "\n\nwords\n").text
    assert len(text) < 5000
    assert text.endswith("words\n")
    text = _load(tmp_path, eml("x", attachments={"../../etc/passwd.txt": b"attached words"})).text
    assert "attached words" in text


def test_pictures_inside_the_text_and_signatures_are_not_named(tmp_path: Path) -> None:
    content = (
        HEAD + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nwords\n"
        "--b\nContent-Type: image/png; name=logo.png\nContent-ID: <1>\n\nx\n"
        "--b\nContent-Type: application/pgp-signature; name=s.asc\n\nx\n--b--\n"
    )
    assert "Attachment" not in _load(tmp_path, content).text


def test_a_mailbox_gives_each_of_its_messages_as_the_standard_library_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "team_list.mbox"
    box = mailbox.mbox(path)
    for number in range(3):
        box.add(eml(f"message {number}\n\nFrom here on it is quoted.\n", subject=f"Subject {number}"))
    box.close()
    document = load(path)
    assert document.kind == "mbox"
    assert [h.title.split(" (")[0] for h in document.headings] == ["Subject 0", "Subject 1", "Subject 2"]
    assert document.text.count("\nFrom here on it is quoted.") == 3
    assert document.title == "team list"


def test_a_message_that_cannot_be_read_is_named_and_the_others_of_the_mailbox_are_read(tmp_path: Path) -> None:
    envelope = "From a@example.org Mon Mar  3 10:00:00 2025\n"
    hostile = HEAD + "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nhi\n" * 6_000
    document = _load(
        tmp_path, "\n\n".join(envelope + text for text in (eml("one").decode(), hostile, eml("two").decode()))
    )
    assert [line for line in document.text.split("\n") if line in ("one", "two")] == ["one", "two"]
    assert document.notes == ("message 2 has over 5000 parts, or parts nested over 50 deep",)


def test_of_two_versions_the_one_that_mail_programs_show_is_read_and_what_the_other_adds_is_hidden(
    tmp_path: Path,
) -> None:
    mail = eml("Dear Bo,\n\nThe price is 9 million.\n", "<p>Dear Bo,</p><p>The price is 1 million.</p>")
    document = _load(tmp_path, mail)
    assert document.text == SHOWN + "Dear Bo,\n\nThe price is 1 million.\n"
    assert document.hidden == (HiddenText(OTHER_VERSION, "The price is 9 million."),)


def test_plain_text_that_leaves_words_out_or_turns_them_round_is_not_read(tmp_path: Path) -> None:
    for text in ("The price is 1 million.", "The price is 9, not 1 million."):
        document = _load(tmp_path, eml(text, "<p>The price is not 9, 1 million.</p>"))
        assert document.text == SHOWN + "The price is not 9, 1 million.\n"
        assert document.hidden == ()


def test_plain_text_that_says_the_same_is_read_with_its_lines(tmp_path: Path) -> None:
    html = '<div>Dear <b>Bo</b>,<br>see <a href="https://example.org/a?b=1">there</a>.</div><p hidden>9 million</p>'
    document = _load(tmp_path, eml("Dear Bo,\nsee there <https://example.org/a?b=1>.\n", html))
    assert document.text == SHOWN + "Dear Bo,\nsee there <https://example.org/a?b=1>.\n"
    assert document.hidden == (HiddenText(MARKED, "9 million"),)


def test_pictures_beside_the_html_version_do_not_bring_the_plain_text_back(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Price"
    mail.set_content("It is 9 million.")
    mail.add_alternative("<p>It is 1 million.</p>", subtype="html")
    mail.get_payload()[1].add_related(b"GIF89a", "image", "gif", cid="<1@x>")  # type: ignore[union-attr, index]
    document = _load(tmp_path, mail.as_bytes())
    assert "1 million" in document.text
    assert "9 million" not in document.text

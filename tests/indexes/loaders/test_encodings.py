"""Encodings: every text comes back as it was written, and binary data never does."""

from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from indexes.errors import LoadError, UnsupportedError
from indexes.loaders.encodings import ISO_2022, decode, wide_encoding

GERMAN = "Die Straße nach Zürich führt über Köln. Müller zahlt 5 € für das Frühstück – “gut”.\n"
FRENCH = "L’été dernier, l’élève a reçu une leçon à côté de la forêt, où il était déjà allé.\n"
POLISH = "Spółka ogłosiła wzrost przychodów w trzecim kwartale, źródłem była sprzedaż części zamiennych.\n"
RUSSIAN = "Компания сообщила о росте выручки за третий квартал, а также о снижении долга.\n"
GREEK = "Η εταιρεία ανακοίνωσε αύξηση των εσόδων το τρίτο τρίμηνο και μείωση του χρέους.\n"
JAPANESE = "当社は第三四半期の売上高が前年同期比で増加したと発表しました。負債も減少しています。\n"
CHINESE = "公司宣布第三季度收入同比增长，同时债务减少。董事会批准了新的股票回购计划。\n"
KOREAN = "회사는 삼분기 매출이 전년 동기 대비 증가했다고 발표했습니다. 부채도 감소했습니다.\n"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff")))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_decoding_gives_back_the_text_with_unix_line_ends(encoding: str, text: str) -> None:
    assume(not ISO_2022.search(text.encode()))  # such text is taken for Japanese
    assert decode(text.encode(encoding)) == text.replace("\r\n", "\n").replace("\r", "\n")


def test_big_endian_utf16_is_decoded_by_its_mark() -> None:
    assert decode(b"\xfe\xff" + GERMAN.encode("utf-16-be")) == GERMAN


def test_cp1252_is_found_wherever_its_first_byte_stands() -> None:
    assert decode(GERMAN.encode("cp1252")) == GERMAN
    plain = "Plain words without accents. " * 9000  # 261,000 bytes of ASCII first
    assert decode((plain + GERMAN).encode("cp1252")) == plain + GERMAN


@given(st.binary(max_size=300))
def test_bytes_give_text_or_a_load_error(data: bytes) -> None:
    with suppress(LoadError):
        assert isinstance(decode(data), str)


def test_nul_bytes_are_binary() -> None:
    with pytest.raises(UnsupportedError, match="holds binary data, not text"):
        decode(b"a\x00b")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        (GERMAN, "mac_roman"),
        (FRENCH.replace("’", "'"), "latin-1"),
        (FRENCH, "cp1252"),
        (FRENCH, "mac_roman"),
        (POLISH, "cp1250"),
        (POLISH, "iso8859-2"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "cp866"),
        (GREEK, "cp1253"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "iso2022-jp"),
        (CHINESE, "gb18030"),
        (CHINESE.replace("会", "會").replace("东", "東"), "gb18030"),
        (KOREAN, "cp949"),
        (GERMAN, "utf-16-le"),
        (RUSSIAN, "utf-16-be"),
        (CHINESE, "utf-16-le"),
        (JAPANESE, "utf-16-be"),
        (GERMAN, "utf-32-le"),
        (GREEK, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("lines", [1, 30])
def test_the_encoding_is_found_without_a_mark(text: str, encoding: str, lines: int) -> None:
    assert decode((text * lines).encode(encoding)) == text * lines


def test_a_declared_encoding_is_believed_unless_the_bytes_are_utf8_or_it_is_unknown() -> None:
    assert decode("ą".encode("cp1257"), "windows-1257") == "ą"
    assert decode("“a”".encode("cp1252"), "ISO-8859-1") == "“a”"  # what browsers read under that name
    assert decode("Zürich".encode(), "iso-8859-1") == "Zürich"
    assert decode(GERMAN.encode("cp1252"), "no-such-encoding") == GERMAN
    assert decode(GERMAN.encode("cp1252"), "base64") == GERMAN


@given(st.binary(min_size=64, max_size=4096))
def test_random_bytes_are_not_taken_for_wide_text(data: bytes) -> None:
    encoding = wide_encoding(data)
    if encoding:  # only where they are: hypothesis may write text by chance
        assert data.decode(encoding, "ignore").isprintable() or "\n" in data.decode(encoding, "ignore")


def test_words_with_a_few_nuls_are_binary() -> None:
    with pytest.raises(UnsupportedError, match="holds binary data, not text"):
        decode(b"words " * 1000 + b"\x00\x01\x02\x03")


@pytest.mark.parametrize("text", ["\x1b$", "\x1b[1mcost: \x1b$5\x1b[0m", "\x1b$B ist über null", "\x1b(B"])
def test_an_escape_that_begins_no_japanese_is_plain_text(text: str) -> None:
    assert decode(text.encode()) == text

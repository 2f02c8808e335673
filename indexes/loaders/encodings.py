"""Bytes → text: by mark, UTF-8, what the file declares, the pattern of NULs, or the letters that come out."""

import codecs
import re
import unicodedata
from dataclasses import dataclass

from ..errors import LoadError, UnsupportedError

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
ISO_2022 = re.compile(rb"\x1b\$(?:[@AB]|\([A-D])")  # begins characters of two bytes (RFC 1468, RFC 1554)
_WINDOW = 100_000  # bytes on each side of the first that is not UTF-8, by which an encoding is guessed
_SAMPLE = 4096  # bytes by which wide encodings without a mark are told from binary data
_NUL_SHARE = 0.02  # of code units with a NUL byte that wide text has at the least: its blanks and line ends
# What browsers read under a declared name, which is often the name of a subset.
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "tis-620": "cp874",
}


@dataclass(frozen=True, slots=True)
class _Alphabet:
    """Letters and marks beyond ASCII that a group of languages uses, and the 8-bit encodings that hold them."""

    characters: frozenset[str]
    encodings: tuple[str, ...]


_PUNCTUATION = "’‘“”„‚–—…•·«»‹›€£§°®©™ \u00ad"


def _alphabet(lower: str, *encodings: str) -> _Alphabet:
    return _Alphabet(frozenset(lower + lower.upper() + _PUNCTUATION), encodings)


# In this order where several explain the bytes equally well.
_ALPHABETS = (
    _alphabet("äöüßéèêëàâçñáíóúôîïìòùûœæåøãõ½²³µ¿¡ªº×", "cp1252", "mac_roman"),
    _alphabet("ąćęłńóśźżáčďéěíňřšťúůýžäöüőűľĺŕôăâîşţß", "cp1250", "iso8859_2", "mac_latin2"),
    _alphabet("çğıöşüâîû", "cp1254"),
    _alphabet("ąčęėįšųūžāēģīķļņõäöü", "cp1257"),
)
_LATIN = frozenset(
    "cp1250 cp1252 cp1254 cp1257 cp437 cp850 cp852 cp858 hp_roman8 latin_1 mac_iceland mac_latin2 mac_roman mac_turkish"
    " mac_croatian mac_romanian iso8859_2 iso8859_3 iso8859_4 iso8859_9 iso8859_10 iso8859_13 iso8859_14 iso8859_15"
    " iso8859_16".split()
)


def decode(data: bytes, declared: str = "") -> str:
    """The text of bytes; `declared` is the encoding that the file names, believed where the bytes are not UTF-8.

    Line ends become `\\n`. Raises LoadError for damaged text and UnsupportedError where no encoding makes text of it.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return _newlines(data.decode(encoding))
            except UnicodeDecodeError as error:
                raise LoadError(f"is damaged {encoding} text: {error.reason}") from error
    if b"\x00" in data:
        wide = wide_encoding(data[:_SAMPLE], data.count(b"\x00") / len(data))
        if not wide:
            raise UnsupportedError("holds binary data, not text")
        return _newlines(data.decode(wide, errors="replace"))
    name = _known(declared)
    is_japanese = data.isascii() and ISO_2022.search(data)
    if is_japanese or (b"\x1b" in data and name.startswith("iso2022")):  # seven-bit: it would pass for UTF-8
        return _newlines(data.decode(name if name.startswith("iso2022") else "iso2022_jp_2", errors="replace"))
    try:
        return _newlines(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if name and name != "utf-8":
            return _newlines(data.decode(name, errors="replace"))
        sample = data[max(0, error.start - _WINDOW) : error.start + _WINDOW]
    return _newlines(data.decode(_guess(sample), errors="replace"))


def wide_encoding(sample: bytes, nul_share: float = 1.0) -> str:
    """UTF-16 or UTF-32 without a mark, by where the NUL bytes stand; nothing for binary data.

    `nul_share` is the share of NULs among all bytes of which the sample is the head.
    """
    for encoding, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        if len(sample) < _SAMPLE and len(sample) % width:
            continue
        whole = sample[: len(sample) - len(sample) % width]
        lanes = [whole[lane::width].count(0) for lane in range(width)]
        filled = lanes[0] if encoding.endswith("le") else lanes[-1]
        nuls = sum(lanes)
        if not whole or filled or nuls < _NUL_SHARE * len(whole) / width or nul_share * width < _NUL_SHARE:
            continue
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(whole)  # a pair may be cut at the end
        except UnicodeDecodeError:
            continue
        if text and all(c in "\t\n\r\f" or unicodedata.category(c) not in ("Cc", "Cn", "Co") for c in text):
            return encoding
    return ""


def _known(declared: str) -> str:
    try:
        name = codecs.lookup(declared.strip()).name if declared.strip() else ""
        b"x".decode(name or "utf-8", "replace")  # codecs that are no encodings, such as base64, are refused here
    except (LookupError, ValueError):
        return ""
    return _SUPERSETS.get(name, name)


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None:
        raise UnsupportedError("is not text in any encoding that fathom knows")
    return _latin(sample) if best.encoding in _LATIN else best.encoding


def _latin(sample: bytes) -> str:
    """The encoding whose languages explain most of the characters that it makes of the bytes beyond ASCII."""
    beyond = bytes(byte for byte in sample if byte >= 0x80)
    shares = {
        encoding: sum(c in alphabet.characters for c in beyond.decode(encoding, errors="replace")) / len(beyond)
        for alphabet in _ALPHABETS
        for encoding in alphabet.encodings
    }
    return max(shares, key=lambda encoding: shares[encoding])


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")

"""Paths as text that is safe on a terminal and in a database, and back."""

import re
import sys

# Control characters, line and paragraph separators, marks that turn the direction of writing, lone surrogates, and what
# shows nothing: two names that differ by it alone look the same. Joiners stay, which Persian and emoji need.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\xad\u034f\u115f\u1160\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e007f"
)
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
_ESCAPED = re.compile(rf"[{_UNSAFE}]|\\(?=x[0-9a-f]{{2}}|u[0-9a-f]{{4}}|U[0-9a-f]{{8}})")


def printable(path: str) -> str:
    r"""The path as text that is safe on a terminal and in a database; `unprintable` turns it back.

    Bytes that are not UTF-8 and ASCII control characters become `\xff`, other characters that would not show or
    would turn the line around `\u0085`. A backslash stays unless what follows makes it look like such an escape;
    then it is `\x5c`.
    """
    if path.isascii() and path.isprintable() and "\\" not in path:
        return path
    return _ESCAPED.sub(lambda match: _escape(ord(match[0])), path)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def unprintable(name: str) -> str:
    """The path that `printable` made `name` of, as Python's file functions take it."""

    def unescape(match: re.Match[str]) -> str:
        if match[2] or match[3]:
            code = int(match[2] or match[3], 16)
            return chr(code) if code <= sys.maxunicode else match[0]
        code = int(match[1], 16)
        return chr(code if code < 0x80 else code + 0xDC00)

    return _ESCAPE.sub(unescape, name)

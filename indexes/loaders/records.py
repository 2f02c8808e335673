"""JSON and JSON lines: each record as one line of `key: value; …`, nested keys dotted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..documents import LoadedDocument
from ..errors import LoadError
from .limits import LoadLimits
from .parts import DocumentBuilder, squeeze
from .text import read_text, spoken

_NAMED_LINES = 5  # broken lines that are named one by one
_MAX_KEY_CHARACTERS = 200  # of a dotted key, its end kept: a long one would be repeated with every value below it
# Numbers stay as they are written: no digits lost, and none so long that it takes quadratic time.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)


def load_json(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The records of a list, of lines, or the parts of one object."""
    text = read_text(path, limits).removeprefix("\ufeff").strip()
    builder = DocumentBuilder(limits)
    try:
        if _is_lines(text):
            _add_lines(builder, _lines(text, builder))
        elif text.startswith("["):
            _add_lines(builder, (_line(item) for item in _items(text)))
        else:
            _add_object(builder, _DECODER.decode(text))
    except json.JSONDecodeError as error:
        raise LoadError(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise LoadError("nests its lists and objects too deeply to be read") from error
    return builder.build("json", spoken(path.stem))


def _add_lines(builder: DocumentBuilder, lines: Iterator[str]) -> None:
    for line in lines:
        builder.line(line)


def _is_lines(text: str) -> bool:
    """Whether more follow a first line that is a value of its own, or that is broken while the next is whole."""
    first, _, rest = text.partition("\n")
    if not rest or _parses(first):
        return bool(rest)
    return not text.startswith("[") and _parses(rest.lstrip().partition("\n")[0])


def _parses(line: str) -> bool:
    try:
        return isinstance(_DECODER.decode(line.strip()), dict | list)
    except (json.JSONDecodeError, RecursionError):
        return False


def _lines(text: str, builder: DocumentBuilder) -> Iterator[str]:
    broken, read = 0, 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = _DECODER.decode(line.strip())
        except (json.JSONDecodeError, RecursionError) as error:
            broken += 1
            if broken <= _NAMED_LINES:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else "it nests too deeply"
                builder.notes.append(f"line {number} is not JSON ({reason}) and is left out")
            continue
        read += 1
        yield _line(value)
    if broken > _NAMED_LINES:
        builder.notes.append(f"{broken - _NAMED_LINES} more lines are not JSON and are left out")
    if not read:
        raise LoadError("holds no line that is JSON: " + builder.notes[0])


def _items(text: str) -> Iterator[Any]:
    """The items of a list one by one, so that a long list is never in memory as a whole."""
    at = _skip_blank(text, 1)
    if text[at : at + 1] == "]":
        return
    while True:
        item, at = _DECODER.raw_decode(text, at)
        yield item
        at = _skip_blank(text, at)
        mark = text[at : at + 1]
        if mark == "]" and not text[at + 1 :].strip():
            return
        if mark != ",":
            raise json.JSONDecodeError("Expecting ',' or the end of the list", text, at)
        at = _skip_blank(text, at + 1)


def _skip_blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\n\r":
        at += 1
    return at


def _add_object(builder: DocumentBuilder, value: Any) -> None:
    """One line a key; a list of objects stands under its key as a heading, one line an object."""
    if not isinstance(value, dict):
        builder.block(_line(value))
        return
    plain = {key: item for key, item in value.items() if not _is_table(item)}
    for key, item in plain.items():
        builder.line(_line({key: item}))
    for key, item in value.items():
        if key not in plain:
            builder.line("")
            builder.heading(1, key)
            _add_lines(builder, map(_line, item))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(item, dict) for item in value)


def _line(value: Any) -> str:
    return "; ".join(f"{key}: {text}" if key else text for key, text in _pairs(value))


def _pairs(root: Any) -> Iterator[tuple[str, str]]:
    """Dotted keys and values, depth first; a list of plain values is one value. No recursion, whatever the depth."""
    stack: list[tuple[str, Any]] = [("", root)]
    while stack:
        key, value = stack.pop()
        prefix = f"{key}."[-_MAX_KEY_CHARACTERS:] if key else ""
        if isinstance(value, dict):
            stack.extend(
                (prefix + squeeze(name)[-_MAX_KEY_CHARACTERS:], item) for name, item in reversed(value.items())
            )
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            stack.extend((f"{prefix}{index}", item) for index, item in reversed(list(enumerate(value))))
        elif isinstance(value, list):
            yield key, ", ".join(filter(None, map(_scalar, value)))
        elif text := _scalar(value):
            yield key, text


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return squeeze(str(value))

"""Parts the text of an RTF file that its reader sees from the text that is hidden, as two RTF files of one shape."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .hidden.colours import WHITE_PAPER, Colour, hidden_by_colour
from .hidden.reasons import MARKED, TINY, TINY_POINTS

_TOKEN = re.compile(
    r"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'[0-9a-f]{2}|\\([^a-z])|([{}])|[^\\{}]+", re.IGNORECASE | re.DOTALL
)
_TINY_HALF_POINTS = int(TINY_POINTS * 2)
# What gives hidden text away: a file without any of it is read as it is.
_MARK = re.compile(
    rf"\\v(?![a-zA-Z0-9-])|\\v[1-9]|\\(?:deleted|nonshppict)(?![a-zA-Z])|\\fs[0-{_TINY_HALF_POINTS}](?!\d)"
)
_DATA = re.compile(r"\\bin[1-9]", re.IGNORECASE)
_BACKGROUND = re.compile(r"\\(?:chcbpat|highlight|cb|cbpat|clcbpat)[1-9]")
_TABLE = re.compile(r"\\colortbl([^{}]*)")
_CHANNEL = re.compile(r"\\(red|green|blue)(\d{1,3})")
_DESTINATIONS = frozenset(
    "fonttbl colortbl stylesheet info pict object header headerl headerr headerf footer footerl footerr footerf "
    "listtable listoverridetable rsidtbl generator themedata datastore fldinst revtbl filetbl".split()
)
_BEHIND = ("chcbpat", "highlight", "cb")  # of letters, the nearest first
_OF_PARAGRAPHS = ("cbpat", "shading")
_SPOKEN = frozenset("u emdash endash emspace enspace qmspace bullet lquote rquote ldblquote rdblquote".split())


@dataclass(frozen=True, slots=True)
class _State:
    """The properties of text at one place; colours are numbers in the file's table, 0 for none."""

    is_hidden: bool = False
    is_deleted: bool = False  # a tracked deletion
    half_points: int = 24
    colour: int = 0
    behind: tuple[tuple[str, int], ...] = ()
    is_in_table: bool = False
    is_text: bool = True  # and no font table or picture


@dataclass(slots=True)
class _Row:
    """The backgrounds of the cells of the row that was defined last, and which cell is being filled."""

    cells: list[int] = field(default_factory=list)
    next_cell: int = 0
    at: int = 0

    def take(self, name: str, number: int | None) -> None:
        if name == "trowd":
            self.cells, self.next_cell, self.at = [], 0, 0
        elif name == "clcbpat":
            self.next_cell = number or 0
        elif name == "cellx":
            self.cells.append(self.next_cell)
            self.next_cell = 0
        elif name == "cell":
            self.at += 1
        elif name == "row":
            self.at = 0

    @property
    def behind(self) -> int:
        return self.cells[self.at] if self.at < len(self.cells) else 0


def seen(source: str) -> tuple[str, list[str]]:
    """The file with the text alone that is seen, and why other text of it is hidden, each reason once."""
    if not _MARK.search(source) and not _DATA.search(source) and not _may_lack_contrast(source):
        return source, []
    shown: list[str] = []
    reasons: dict[str, None] = {}
    for why, piece in _marked(source):
        if not why:
            shown.append(piece)
        elif not piece.isspace():
            reasons[why] = None
    return "".join(shown), list(reasons)


def hidden_for(source: str, reason: str) -> str:
    """The file with the text alone that is hidden for a reason."""
    return "".join(piece for why, piece in _marked(source) if why is None or why == reason)


def _may_lack_contrast(source: str) -> bool:
    white = [number for number, colour in enumerate(_colours(source)) if hidden_by_colour(colour, WHITE_PAPER)]
    return _BACKGROUND.search(source) is not None or any(re.search(rf"\\cf{number}(?!\d)", source) for number in white)


def _marked(source: str) -> Iterator[tuple[str | None, str]]:
    """Pieces of the source, each with why it is hidden, "" where it is seen; None for all that is no text."""
    colours, row = _colours(source), _Row()
    state, stack = _State(), list[_State]()
    is_opened = False  # a group has just begun
    at = 0
    while match := _TOKEN.match(source, at):
        at = match.end()
        word, value, sign, brace = match.groups()
        piece, why = match[0], None
        if brace == "{":
            stack.append(state)
        elif brace:
            state = stack.pop() if stack else state
        elif word:
            name, number = word.lower(), int(value) if value else None
            if name == "bin" and number and number > 0:
                piece, at = "", at + number  # data and no text, whatever it looks like
            elif name in _SPOKEN:
                why = _why(state, row, colours)
            elif (is_opened and name in _DESTINATIONS) or name in ("fonttbl", "colortbl", "stylesheet"):
                state = replace(state, is_text=False)
            else:
                row.take(name, number)
                state = _changed(state, name, number)
        elif sign == "*":
            state = replace(state, is_text=False)
        elif sign not in ("\n", "\r"):  # text, or an escaped sign or byte
            why = _why(state, row, colours)
        is_opened = brace == "{"
        yield why, piece
    yield None, source[at:]


def _changed(state: _State, name: str, number: int | None) -> _State:
    """The state after a control word."""
    if name == "v":
        return replace(state, is_hidden=number != 0)
    if name in ("deleted", "nonshppict"):
        return replace(state, is_deleted=number != 0)
    if name == "fs":
        return replace(state, half_points=24 if number is None else number)
    if name == "cf":
        return replace(state, colour=number or 0)
    if name == "intbl":
        return replace(state, is_in_table=True)
    if name == "plain":
        kept = tuple(pair for pair in state.behind if pair[0] in _OF_PARAGRAPHS)
        return _State(behind=kept, is_in_table=state.is_in_table, is_text=state.is_text)
    if name == "pard":
        kept = tuple(pair for pair in state.behind if pair[0] not in _OF_PARAGRAPHS)
        return replace(state, behind=kept, is_in_table=False)
    if name in _BEHIND or name in _OF_PARAGRAPHS or name == "chshdng":
        kept = tuple(pair for pair in state.behind if pair[0] != name)
        return replace(state, behind=(*kept, (name, number)) if number else kept)
    return state


def _why(state: _State, row: _Row, colours: list[Colour | None]) -> str | None:
    """Why text is hidden in this state; None where it is no text."""
    if not state.is_text:
        return None
    if state.is_hidden or state.is_deleted:
        return MARKED
    if state.half_points <= _TINY_HALF_POINTS:
        return TINY
    colour = colours[state.colour] if state.colour < len(colours) else None
    behind = dict(state.behind)
    if colour is None or "shading" in behind or "chshdng" in behind:  # a pattern over the background
        return ""
    numbers = [behind[name] for name in (*_BEHIND, "cbpat") if name in behind]
    number = numbers[0] if numbers else row.behind if state.is_in_table else 0
    if not number:
        return hidden_by_colour(colour, WHITE_PAPER)
    return hidden_by_colour(colour, colours[number] if number < len(colours) else None)


def _colours(source: str) -> list[Colour | None]:
    """The file's table of colours; None for those that the reader's program chooses."""
    table = _TABLE.search(source)
    found: list[Colour | None] = []
    for entry in table[1].split(";") if table else ():
        channels = {name: min(int(value), 255) for name, value in _CHANNEL.findall(entry)}
        colour = (channels.get("red", 0), channels.get("green", 0), channels.get("blue", 0))
        found.append(colour if channels else None)
    return found

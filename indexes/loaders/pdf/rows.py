"""Lines of a page → rows: pieces at one height stand side by side, and words far apart are cells.

PDFium gives lines in the order in which the file draws them. That order is kept, for it follows the columns of prose;
only a piece that lies beside a row drawn shortly before joins it, as cells of one table row often are drawn apart.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from .page import Line, Word
from .values import is_mark, is_tail, is_value, is_value_cell

_RECENT = 8  # rows that a line without values may join
_MAX_BESIDE = 40  # rows at one height that are looked at, and
_MAX_CELLS = 200  # cells of one row: a page may hold any number of either
_SAME_HEIGHT = 0.3  # of the letter box's height, that baselines of one row may differ
_VALUES_APART = 0.45  # of the letter box's height: the least gap between two values
_VALUE_APART = 0.8  # between words and a value
_WORDS_APART = 1.0
_RAISED_GAP = 0.5
_PROSE_WORDS = 4
_COLUMN_ROWS = 4  # rows that must agree on a gutter
_BULLET = re.compile(r"[•●○◦▪■□❑➢►·*☐☒☑–—-]|\(?(?:[A-Za-z]|\d{1,2}|[ivx]{2,4})[.)]")


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of a row that stand close together."""

    text: str
    left: float
    right: float

    @property
    def is_value(self) -> bool:
        """Whether it holds numbers and nothing else."""
        return is_value_cell(self.text)

    @property
    def is_prose(self) -> bool:
        """Whether it reads as part of a sentence."""
        words = self.text.split()
        return len(words) >= _PROSE_WORDS and 2 * sum(map(is_value, words)) < len(words)


@dataclass(frozen=True, slots=True)
class Row:
    """What stands at one height of a page, from left to right. `text` is the row as a line."""

    text: str
    cells: tuple[Cell, ...]
    bottom: float
    last_bottom: float
    height: float
    bold: bool

    @property
    def left(self) -> float:
        """Left edge of its first cell."""
        return self.cells[0].left

    @property
    def right(self) -> float:
        """Right edge of its last cell."""
        return max(cell.right for cell in self.cells)


def rows_of(lines: Iterable[Line]) -> list[Row]:
    """Rows in reading order: columns of prose one after the other."""
    rows: list[Row] = []
    by_height: dict[int, list[int]] = {}  # baseline in points → rows there
    for line in lines:
        row = Row(line.text, cells_of(line), line.bottom, line.last_bottom, line.height, line.bold)
        index = _beside(rows, by_height, row)
        if index >= 0:
            rows[index] = _joined(rows[index], row)
        else:
            by_height.setdefault(round(row.bottom), []).append(len(rows))
            rows.append(row)
    return _columns_apart(rows)


def cells_of(line: Line) -> tuple[Cell, ...]:
    """The line's cells; one, where its words stand at usual distances. A bullet belongs to what follows it."""
    groups: list[list[Word]] = []
    values = False  # whether the open group holds nothing but values
    for word in sorted(line.words, key=lambda word: word.left):
        belongs = is_value(word.text) or is_mark(word.text)
        if groups and not _is_apart(groups[-1][-1], word, line.height, values, belongs):
            groups[-1].append(word)
            values = values and (belongs or is_tail(word.text))
        else:
            groups.append([word])
            values = belongs
    if len(groups) > 1 and len(groups[0]) == 1 and _BULLET.fullmatch(groups[0][0].text):
        groups[:2] = [groups[0] + groups[1]]
    if len(groups) < 2:
        return (Cell(line.text, line.left, line.right),)
    return tuple(Cell(" ".join(w.text for w in g), g[0].left, max(w.right for w in g)) for g in groups)


def _is_apart(before: Word, word: Word, height: float, values: bool, belongs: bool) -> bool:
    gap = word.left - before.right
    if is_mark(before.text) and not is_mark(word.text):
        return False
    if is_tail(word.text) and is_value(before.text):
        return gap > 2 * height
    if belongs:
        return gap > height * (_VALUES_APART if values else _VALUE_APART)
    return gap > height * _WORDS_APART


def _beside(rows: Sequence[Row], by_height: dict[int, list[int]], row: Row) -> int:
    """The index of the row that this one continues, or -1."""
    if not row.height:
        return -1
    if rows and _is_raised(rows[-1], row):
        return len(rows) - 1
    value = all(cell.is_value for cell in row.cells)
    first = 0 if value else len(rows) - _RECENT
    reach = max(1, round(row.height * _SAME_HEIGHT))
    heights = {round(y) + step for y in (row.bottom, row.last_bottom) for step in range(-reach, reach + 1)}
    for index in sorted((i for y in heights for i in by_height.get(y, ())[-_MAX_BESIDE:]), reverse=True):
        other = rows[index]
        apart = min(abs(other.bottom - row.bottom), abs(other.bottom - row.last_bottom))
        if index < first or apart > _SAME_HEIGHT * min(row.height, other.height or row.height):
            continue
        if len(other.cells) > _MAX_CELLS or _overlap(row, other):
            continue
        prose = row.cells[0].is_prose and other.cells[-1].is_prose
        if index == len(rows) - 1 or not prose:
            return index
    return -1


def _overlap(row: Row, other: Row) -> bool:
    return any(c.left < d.right and d.left < c.right for c in row.cells for d in other.cells)


def _is_raised(row: Row, piece: Row) -> bool:
    """Whether the piece begins with a raised mark right after the row, such as a footnote's number."""
    gap, lift = piece.left - row.right, piece.bottom - row.bottom
    close = -0.1 * row.height < gap < _RAISED_GAP * row.height
    return close and piece.height < 0.95 * row.height and -0.1 * row.height < lift < 0.8 * row.height


def _joined(row: Row, piece: Row) -> Row:
    parts = (row, piece) if row.left <= piece.left else (piece, row)
    cells = _glued(sorted(row.cells + piece.cells, key=lambda cell: cell.left))
    text = " ".join(part.text for part in parts)
    return replace(row, text=text, cells=cells, bold=row.bold and piece.bold)


def _glued(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Currency and per cent signs that were drawn apart, with their numbers."""
    glued: list[Cell] = []
    for cell in cells:
        before = glued[-1] if glued else None
        if before and ((is_mark(before.text) and cell.is_value) or (is_tail(cell.text) and before.is_value)):
            cell = Cell(f"{before.text} {cell.text}", glued.pop().left, cell.right)
        glued.append(cell)
    return tuple(glued)


def _columns_apart(rows: list[Row]) -> list[Row]:
    """Rows that hold two columns of prose side by side, taken apart: the left column first."""
    result: list[Row] = []
    index = 0
    while index < len(rows):
        end, gutter = _side_by_side(rows, index)
        if end - index >= _COLUMN_ROWS:
            sides: tuple[list[Row], list[Row]] = ([], [])
            for row in rows[index:end]:
                for cell in row.cells:
                    part = replace(row, text=cell.text, cells=(cell,))
                    sides[cell.left >= gutter].append(part)
            result += sides[0] + sides[1]
            index = end
        else:
            result.append(rows[index])
            index += 1
    return result


def _side_by_side(rows: Sequence[Row], start: int) -> tuple[int, float]:
    """The end of the run of two-column rows that begins here, and where its gutter lies."""
    low, high = float("-inf"), float("inf")
    end = start
    for row in map(rows.__getitem__, range(start, len(rows))):
        if len(row.cells) != 2 or not any(cell.is_prose for cell in row.cells) or row.cells[1].is_value:
            break
        left, right = max(low, row.cells[0].right), min(high, row.cells[1].left)
        if left >= right:
            break
        low, high, end = left, right, end + 1
    prose = sum(cell.is_prose for row in rows[start:end] for cell in row.cells)
    return (end, high) if prose > 1.5 * (end - start) else (start, high)


def paragraph_starts(rows: Sequence[Row]) -> list[bool]:
    """Which rows stand further from the one before than the lines of the page do."""
    steps = [a.last_bottom - b.bottom for a, b in pairwise(rows) if a.height and b.height]
    usual = [step for step in steps if step > 0]
    pitch = median(usual) if usual else 0.0
    starts = [False] * len(rows)
    for index in range(1, len(rows)):
        before, row = rows[index - 1], rows[index]
        if not before.height or not row.height:
            continue
        step = before.last_bottom - row.bottom
        if step < -row.height:  # the top of the next column, perhaps in the middle of a sentence
            starts[index] = not (row.text[:1].islower() or before.text[-1:] in ",-")
        else:
            starts[index] = step > max(1.3 * min(pitch, 2 * row.height), 1.3 * row.height)
    return starts

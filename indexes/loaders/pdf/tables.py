"""Rows of a page → tables: runs of rows whose values stand in columns, with the rows above that name them."""

from collections.abc import Sequence
from dataclasses import dataclass

from .rows import Cell, Row
from .values import is_year_cell

_HEADER_ROWS = 6  # that may stand above the values
_LABEL_ROWS = 4  # without values in a row
_MAX_COLUMNS = 40
_STEP = 3.2  # letter heights between rows of one table
_CONNECTING = frozenset("a an and as at by for from in less net of on or our per than the to with".split())
_WRAP = 1.5  # letter heights of room that a label's line had left when its next word did not fit


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table in rows[start:end] as cells; the first of `cells` names the columns if `has_header`."""

    start: int
    end: int
    cells: tuple[tuple[str, ...], ...]
    has_header: bool


@dataclass(frozen=True, slots=True)
class _Column:
    left: float
    right: float


def find_tables(rows: Sequence[Row]) -> list[FoundTable]:
    """Tables in the order of the rows; they do not overlap. Two rows of values make one, or one under a header."""
    tables: list[FoundTable] = []
    index = done = 0
    while index < len(rows):
        if not _is_data(rows[index]):
            index += 1
            continue
        end = _end(rows, index)
        columns = _columns(rows[index:end])
        start = _start(rows, index, done, columns)
        data = sum(map(_is_data, rows[index:end]))
        several = len(columns) > 1 or (columns and any(len(row.cells) > 1 for row in rows[index:end]))
        if several and len(columns) <= _MAX_COLUMNS and (data > 1 or (start < index and len(columns) > 1)):
            tables.append(_table(rows, start, index, end, columns))
            done = end
        index = end
    return tables


def _is_data(row: Row) -> bool:
    """Whether the row holds a value that is no column's name, beside a label or another value."""
    values = [cell for cell in row.cells if cell.is_value]
    return len(row.cells) > 1 and not _is_heading(row) and len(values) > 0 and not all(c.is_prose for c in row.cells)


def _is_heading(row: Row) -> bool:
    """Whether the row's values are years that name columns; `2025 | 1,300` is data."""
    values = [cell for cell in row.cells if cell.is_value]
    return bool(values) and all(is_year_cell(cell.text) for cell in values) and (len(values) > 1 or len(row.cells) > 1)


def _end(rows: Sequence[Row], start: int) -> int:
    """Past the last row of values that hangs together with the first one."""
    end, waiting = start + 1, 0
    edge = _first_value(rows[start])
    for index in range(start + 1, len(rows)):
        before, row = rows[index - 1], rows[index]
        if _is_heading(row) or not 0 < before.bottom - row.bottom < _STEP * max(row.height, before.height):
            break
        if _is_data(row) or (len(row.cells) == 1 and row.cells[0].is_value and row.left > rows[start].left):
            edge = min(edge, _first_value(row))
            end, waiting = index + 1, 0
        elif len(row.cells) == 1 and waiting < _LABEL_ROWS and row.right <= edge + row.height:
            waiting += 1
        else:
            break
    return end


def _first_value(row: Row) -> float:
    """Left edge of the first value that has something before it, else of the first value."""
    lefts = [cell.left for cell in row.cells[1:] if cell.is_value]
    return min(lefts) if lefts else row.left


def _start(rows: Sequence[Row], first: int, done: int, columns: Sequence[_Column]) -> int:
    """Where the rows begin that name the columns of the values from `first` on: all that stands over the columns."""
    if not columns:
        return first
    start = first
    edge = columns[0].left
    for index in range(first - 1, max(done, first - _HEADER_ROWS) - 1, -1):
        row, below = rows[index], rows[index + 1]
        if not 0 < row.bottom - below.bottom < _STEP * max(row.height, below.height):
            break
        if _names_columns(row, edge):
            start = index
        elif not _is_label_only(row, edge):
            break
    return start


def _names_columns(row: Row, edge: float) -> bool:
    """Whether the row stands over the columns, which begin at `edge`: several cells, or one beyond the labels."""
    if any(cell.is_prose and len(cell.text.split()) > 8 for cell in row.cells):
        return False
    last = row.cells[-1]
    return last.right > edge and (len(row.cells) > 1 or last.left > edge - (last.right - last.left) / 2)


def _is_label_only(row: Row, edge: float) -> bool:
    return len(row.cells) == 1 and row.right <= edge + row.height and not row.cells[0].is_prose


def _columns(rows: Sequence[Row]) -> list[_Column]:
    """Where values stand over each other, from left to right. Values that begin their rows are labels."""
    spans = sorted((c.left, c.right) for row in rows for c in _values_of(row))
    columns: list[_Column] = []
    for left, right in spans:
        if columns and left < columns[-1].right:
            columns[-1] = _Column(columns[-1].left, max(right, columns[-1].right))
        else:
            columns.append(_Column(left, right))
    return columns


def _values_of(row: Row) -> list[Cell]:
    lone = len(row.cells) == 1 and not is_year_cell(row.cells[0].text)
    return [cell for i, cell in enumerate(row.cells) if cell.is_value and (i > 0 or lone)]


def _table(rows: Sequence[Row], start: int, first: int, end: int, columns: Sequence[_Column]) -> FoundTable:
    while first > start and _is_label_only(rows[first - 1], columns[0].left):
        first -= 1
    body = rows[first:end]
    edge = max((row.cells[0].right for row in body if _has_label(row, columns)), default=0.0)
    header = [_placed(row, columns, edge) for row in rows[start:first]]
    cells: list[list[str]] = []
    if header:
        cells.append([" ".join(filter(None, column)) for column in zip(*header, strict=True)])
    open_label = False  # whether the row before is a label that runs on in this one
    for index, row in enumerate(body):
        placed = _placed(row, columns, edge)
        if open_label:
            placed[0] = f"{cells.pop()[0]} {placed[0]}".rstrip()
        cells.append(placed)
        open_label = index + 1 < len(body) and _runs_on(row, body[index + 1], edge, columns)
    return FoundTable(start, end, tuple(map(tuple, cells)), bool(header))


def _has_label(row: Row, columns: Sequence[_Column]) -> bool:
    return row.cells[0].left < columns[0].left and not (len(row.cells) == 1 and row.cells[0].is_value)


def _runs_on(row: Row, below: Row, edge: float, columns: Sequence[_Column]) -> bool:
    """Whether a label without values was broken because its next word did not fit, and goes on below."""
    if len(row.cells) > 1 or not _has_label(row, columns) or not _has_label(below, columns):
        return False
    if row.text.endswith(":") or row.bold != below.bold:
        return False
    text = below.cells[0].text
    word = text.split()[0]
    width = (below.cells[0].right - below.cells[0].left) * len(word) / len(text)
    goes_on = not text[:1].isupper() or row.text.rsplit(" ", 1)[-1].lower() in _CONNECTING or row.text[-1] in ",-–—&"
    return goes_on and row.right + width + _WRAP * row.height > edge


def _placed(row: Row, columns: Sequence[_Column], edge: float) -> list[str]:
    """The row's cells by column, the label first, which ends at `edge`. A cell over several columns is in the first."""
    placed = [""] * (len(columns) + 1)
    for cell in row.cells:
        index = _column(cell, columns, edge)
        placed[index] = f"{placed[index]} {cell.text}".strip()
    return placed


def _column(cell: Cell, columns: Sequence[_Column], edge: float) -> int:
    """Where the cell belongs: 0 for the label, or the number of the first column that it stands over."""
    overlapping = [i for i, c in enumerate(columns, 1) if cell.left < c.right and c.left < cell.right]
    if cell.left < min(edge, columns[0].left) and (not cell.is_value or not overlapping):
        middle = (cell.left + cell.right) / 2
        narrow = bool(overlapping) and middle > columns[0].left
        return overlapping[0] if narrow else 0
    if overlapping:
        return overlapping[0]
    middle = (cell.left + cell.right) / 2
    return min(range(1, len(columns) + 1), key=lambda i: abs(columns[i - 1].left + columns[i - 1].right - 2 * middle))

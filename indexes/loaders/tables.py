"""CSV and TSV files, and rows of cells as lines that can each be read alone."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from ..documents import LoadedDocument
from ..errors import LoadError
from .limits import LoadLimits
from .parts import DocumentBuilder, clean_line, squeeze
from .text import read_text, spoken

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50
_SAMPLE_CHARACTERS = 50_000
_MAX_COLUMNS = 16_384  # as many as a sheet of Excel has
_MAX_NAME_CHARACTERS = 200  # of a column; its name stands in every row
_MAX_ROWS_ABOVE = 10  # of titles and remarks before the names of the columns


def load_csv(path: Path, limits: LoadLimits) -> LoadedDocument:
    """A table as one line a row, every cell with its column's name, so that a row can be read alone."""
    text = read_text(path, limits)
    delimiter = _delimiter(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    builder = DocumentBuilder(limits)
    try:
        if not add_rows(
            builder, csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, skipinitialspace=True)
        ):
            raise LoadError("holds no rows")
    except csv.Error as error:
        raise LoadError(f"is not a readable table: {error}") from error
    return builder.build("csv", spoken(path.stem))


def add_rows(builder: DocumentBuilder, rows: Iterable[Sequence[str]]) -> bool:
    """Appends rows as records under the names of their columns; whether there were any.

    Rows above the names that fill one cell of a wider table are titles and stand as text; a row of names with gaps over
    another row of names groups its columns.
    """
    filled = (row for row in map(_trimmed, rows) if row)
    head = list(islice(filled, _MAX_ROWS_ABOVE + _SAMPLE_ROWS))
    if not head:
        return False
    above = _rows_above(head)
    for row in head[:above]:
        builder.block(" ".join(squeeze(cell) for cell in row if cell.strip()))
    names, used = _names(head[above:])
    header = "columns: " + ", ".join(names)
    builder.records(header, (record(names, row) for row in chain(head[above + used :], filled)))
    return True


def record(names: Sequence[str], row: Sequence[str]) -> str:
    """A row as `name: cell; name: cell`, blank cells left out."""
    return "; ".join(
        f"{names[index] if index < len(names) else f'column {index + 1}'}: {squeeze(cell)}"
        for index, cell in enumerate(row)
        if cell.strip()
    )


def _trimmed(row: Sequence[str]) -> Sequence[str]:
    """The row without blank cells at its end."""
    if len(row) > _MAX_COLUMNS:
        raise LoadError(f"has a row of {len(row):,} cells, over the limit of {_MAX_COLUMNS:,}; transpose or split it")
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _rows_above(head: Sequence[Sequence[str]]) -> int:
    """How many rows at the top are titles: at most half as wide as most rows, and a single cell."""
    usual = Counter(_filled(row) for row in head).most_common(1)[0][0]
    above = 0
    while above < min(_MAX_ROWS_ABOVE, len(head) - 2) and _filled(head[above]) == 1 and usual >= 2:
        above += 1
    return above


def _names(rows: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """The names of the columns and how many rows they took, one or two."""
    top = rows[0]
    if len(rows) > 2 and _groups(top, rows[1]):
        width = max(len(top), len(rows[1]))
        names, group = [], ""
        for index in range(width):
            group = clean_line(top[index]) if index < len(top) and top[index].strip() else group
            own = clean_line(rows[1][index]) if index < len(rows[1]) else ""
            names.append(f"{group} {own}")
        return _completed(names), 2
    return _completed(top), 1


def _completed(names: Sequence[str]) -> list[str]:
    return [
        clean_line(squeeze(name))[:_MAX_NAME_CHARACTERS] or f"column {number}" for number, name in enumerate(names, 1)
    ]


def _groups(top: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a row names groups of the columns that the row below names: it has gaps, and neither holds figures."""
    gaps = any(not cell.strip() for cell in top[1:]) or len(top) < len(below)
    words = all(any(c.isalpha() for c in cell) or _is_year(cell) for cell in chain(top, below) if cell.strip())
    named = all(cell.strip() for cell in below[1:])
    return gaps and words and named and 2 <= _filled(top) < len(below)


def _is_year(cell: str) -> bool:
    return len(cell.strip()) == 4 and cell.strip().isdecimal()


def _delimiter(text: str, default: str) -> str:
    """The delimiter that gives the most rows of the same width, wider ones preferred."""
    best, best_score = default, (0.0, 0)
    for delimiter in default + _DELIMITERS.replace(default, ""):
        widths = Counter(len(row) for row in _sample(text, delimiter) if any(cell.strip() for cell in row))
        width = max(widths, key=lambda size: (widths[size], size), default=0)
        if width >= 2 and (score := (widths[width] / widths.total(), width)) > best_score:
            best, best_score = delimiter, score
    return best


def _sample(text: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text[:_SAMPLE_CHARACTERS]), delimiter=delimiter, skipinitialspace=True)
    try:
        yield from islice(reader, _SAMPLE_ROWS)
    except csv.Error:  # a cell over the library's limit; reading the whole says so
        return

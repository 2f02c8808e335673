"""XLSX files: a heading a sheet, each row as a line that can be read alone, values as Excel shows them."""

import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..documents import LoadedDocument
from ..errors import LoadError
from .containers import Container, reading_package
from .limits import LoadLimits
from .parts import DocumentBuilder, check_length, squeeze
from .tables import add_rows
from .text import spoken

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_LITERAL = re.compile(r'\[\$([^\]-]*)[^\]]*\]|"([^"]*)"|\\(.)')  # currency, quoted and escaped text of a number format
_CODES = re.compile(r"\[[^\]]*\]|_.|\*.|[?\s]")  # colours, conditions and paddings
_DIGITS = re.compile(r"[#0][#0,]*(?:\.([#0]*))?")
_MAX_ROWS = 2**20  # as many as a sheet of Excel has; a row may claim any number
_MAX_BLANKS = 10_000_000  # cells of one sheet that are blank, before the last of a row that is not
_CURRENCIES = "$€£¥₹"


def load_xlsx(path: Path, limits: LoadLimits) -> LoadedDocument:
    """All sheets in their order; a hidden one is read too and says so. A formula stands with its last result."""
    import openpyxl

    with Container(path, limits) as container:
        container.check()
    builder = DocumentBuilder(limits)
    with reading_package(), path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions that openpyxl leaves out
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        try:
            title = squeeze(str(book.properties.title or "")) or spoken(path.stem)
            for sheet in book.worksheets:
                _add_sheet(sheet.title, sheet.sheet_state != "visible", _rows(sheet, limits), builder)
        finally:
            book.close()
    return builder.build("xlsx", title)


def _add_sheet(name: str, hidden: bool, rows: Iterator[list[str]], builder: DocumentBuilder) -> None:
    first = next(rows, None)
    if first is not None:
        builder.heading(1, f"{name} (hidden sheet)" if hidden else name)
        add_rows(builder, chain([first], rows))


def _rows(sheet: "ReadOnlyWorksheet", limits: LoadLimits) -> Iterator[list[str]]:
    """The rows that hold anything."""
    sheet.reset_dimensions()  # what the file claims may be far more than what it holds
    blanks = 0
    for cells in islice(sheet.iter_rows(), _MAX_ROWS):
        row = ["" if cell.value is None else _shown(cell.value, cell.number_format) for cell in cells]
        blanks += row.count("")
        if blanks > _MAX_BLANKS:
            raise LoadError(f"spans over {_MAX_BLANKS:,} blank cells in its sheet {sheet.title[:60]!r}; delete them")
        check_length(sum(map(len, row)), limits)
        if any(row):
            yield row


def _shown(value: Any, number_format: str | None) -> str:
    """A cell as a reader of the sheet sees it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, date | time | timedelta):
        return str(value)
    if isinstance(value, int | float):
        return _number(value, number_format or "General")
    return str(value)


def _number(value: float, number_format: str) -> str:
    rule = _rule(number_format)
    if rule is None:
        return f"{value:.15g}"
    decimals, thousands, percent, before, after = rule
    digits = f"{abs(value) * (100 if percent else 1):{',' if thousands else ''}.{decimals}f}"
    sign = "-" if value < 0 and digits.strip("0.,") else ""
    return f"{sign}{before}{digits}{'%' if percent else ''}{after}"


@lru_cache(maxsize=1024)
def _rule(number_format: str) -> tuple[int, bool, bool, str, str] | None:
    """Decimals, thousands, percent, and currency before and after; None for formats that say nothing of these."""
    section = number_format.split(";")[0][:200]
    literals: Iterable[re.Match[str]] = _LITERAL.finditer(section)
    marks = [(m.start(), (m[1] or m[2] or m[3] or "").strip()) for m in literals]
    bare = _LITERAL.sub(lambda m: "~" * len(m[0]), section)
    bare = _CODES.sub(lambda m: "~" * len(m[0]), bare)
    digits = _DIGITS.search(bare)
    if not digits or re.search(r"[A-DF-Za-df-z/@]|E[+-]", bare):
        return None
    marks += [(index, mark) for index, mark in enumerate(bare) if mark in _CURRENCIES]
    currency = [(at, mark) for at, mark in marks if mark in _CURRENCIES or mark.isalpha()]
    before = "".join(mark + (" " if mark.isalpha() else "") for at, mark in currency if mark and at < digits.start())
    after = "".join(" " + mark for at, mark in currency if mark and at > digits.start())
    return len(digits[1] or ""), "," in digits[0], "%" in bare, before, after

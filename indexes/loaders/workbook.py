"""XLSX files: a heading a sheet, each row as a line that can be read alone, values as Excel shows them."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..documents import LoadedDocument
from ..errors import LoadError
from .containers import Container, reading_package
from .hidden.reasons import COLUMN, OTHER_FORMAT, ROW, SHEET
from .limits import LoadLimits
from .parts import DocumentBuilder, check_length, squeeze
from .tables import add_rows
from .text import spoken
from .workbook_hidden import Grounds, Looks, hidden_by_format, hidden_columns, is_hidden_row, said_instead

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

_LITERAL = re.compile(r'\[\$([^\]-]*)[^\]]*\]|"([^"]*)"|\\(.)')  # currency, quoted and escaped text of a number format
_CODES = re.compile(r"\[[^\]]*\]|_.|\*.|[?\s]")  # colours, conditions and paddings
_DIGITS = re.compile(r"[#0](?:[#0,]*[#0])?(?:\.([#0]*))?(,*)")  # commas at the end divide by a thousand each
_MAX_ROWS = 2**20  # as many as a sheet of Excel has; a row may claim any number
_MAX_BLANKS = 10_000_000  # cells of one sheet that are blank, before the last of a row that is not
_CODED = (0, 1, -1)  # numbers that stand for the words of their format: yes, no, nil
_CURRENCIES = "$€£¥₹"


def load_xlsx(path: Path, limits: LoadLimits) -> LoadedDocument:
    """All sheets in their order; hidden ones, rows, columns and cells are kept apart. A formula stands with its last
    result.
    """
    import openpyxl

    with Container(path, limits) as container:
        container.check()
    builder = DocumentBuilder(limits)
    with reading_package(), path.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions that openpyxl leaves out
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        try:
            title = squeeze(str(book.properties.title or "")) or spoken(path.stem)
            looks = Looks(book)
            for sheet in book.worksheets:
                if sheet.sheet_state == "visible":
                    _add_sheet(sheet.title, _rows(sheet, looks, builder, limits), builder)
                else:
                    _hide_sheet(sheet, builder, limits)
        finally:
            book.close()
    return builder.build("xlsx", title)


def _add_sheet(name: str, rows: Iterator[list[str]], builder: DocumentBuilder) -> None:
    first = next(rows, None)
    if first is not None:
        builder.heading(1, name)
        add_rows(builder, chain([first], rows))


def _hide_sheet(sheet: "ReadOnlyWorksheet", builder: DocumentBuilder, limits: LoadLimits) -> None:
    name = f"{sheet.title}: "
    for row in _rows(sheet, Looks(sheet.parent), None, limits):
        builder.hide(SHEET, name + _listed(row))
        name = ""


def _listed(row: Sequence[str]) -> str:
    return "; ".join(filter(None, row))


def _rows(
    sheet: "ReadOnlyWorksheet", looks: Looks, builder: DocumentBuilder | None, limits: LoadLimits
) -> Iterator[list[str]]:
    """The rows that hold anything. With a builder, what of them is not seen is hidden there and is not among them."""
    blanks, grounds = 0, Grounds(sheet)
    hidden: frozenset[int] | None = None  # columns, which stand before all rows
    for number, cells, parser in _parsed(sheet):
        if hidden is None:
            hidden = hidden_columns(parser.column_dimensions) if builder else frozenset()
        attributes = parser.row_dimensions.pop(str(number), None)
        width = max((cell["column"] for cell in cells), default=0)
        row = [""] * width
        unseen: list[tuple[str, str]] = []
        for cell in cells:
            value = cell["value"]
            if value is None:
                continue
            column, look = cell["column"], looks.look(cell["style_id"])
            text = _shown(value, look.number_format)
            reason = look.reason
            if reason and look.is_on_sheet and builder and grounds.hold(column, number):
                reason = ""
            if builder and (reason := reason or hidden_by_format(value, look.number_format)):
                unseen.append((reason, text))
            elif builder and (instead := said_instead(value, look.number_format)) is not None:
                if value not in _CODED:
                    unseen.append((OTHER_FORMAT, text))
                row[column - 1] = instead
            else:
                row[column - 1] = text
        blanks += row.count("")
        if blanks > _MAX_BLANKS:
            raise LoadError(f"spans over {_MAX_BLANKS:,} blank cells in its sheet {sheet.title[:60]!r}; delete them")
        check_length(sum(map(len, row)), limits)
        if builder and attributes and is_hidden_row(attributes):
            builder.hide(ROW, _listed([*row, *(text for _, text in unseen)]))
            continue
        if builder:
            for reason, text in unseen:
                builder.hide(reason, text)
        if builder and hidden:
            builder.hide(COLUMN, _listed([text for at, text in enumerate(row, 1) if at in hidden]))
            row = [text for at, text in enumerate(row, 1) if at not in hidden]
        if any(row):
            yield row


def _parsed(sheet: "ReadOnlyWorksheet") -> Iterator[tuple[int, list[dict[str, Any]], Any]]:
    """Rows as openpyxl's own reader takes them from the file, with what it has read of rows and columns.

    Its sheets give only cells in this mode, and nothing of whether they are hidden.
    """
    from openpyxl.worksheet._reader import WorkSheetParser

    book = sheet.parent
    with sheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            data_only=book.data_only,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for number, cells in parser.parse():
            if number > _MAX_ROWS:
                return
            yield number, cells, parser


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
    decimals, thousands, percent, commas, before, after = rule
    digits = f"{abs(value) * (100 if percent else 1) / 1000**commas:{',' if thousands else ''}.{decimals}f}"
    sign = "-" if value < 0 and digits.strip("0.,") else ""
    return f"{sign}{before}{digits}{'%' if percent else ''}{after}"


@lru_cache(maxsize=1024)
def _rule(number_format: str) -> tuple[int, bool, bool, int, str, str] | None:
    """Decimals, thousands, percent, by how many thousands it divides, and currency before and after.

    None for formats that say nothing of these.
    """
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
    thousands = "," in digits[0].removesuffix(digits[2])
    return len(digits[1] or ""), thousands, "%" in bare, min(len(digits[2]), 9), before, after

"""PDF files: text in reading order, tables as rows, headings, and pages that are only pictures, by pypdfium2."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from ...documents import Heading, LoadedDocument, Table
from ...errors import LoadError
from ..limits import LoadLimits
from ..parts import DocumentBuilder, check_length, pipe_row, squeeze
from .headings import LaidPage, OutlineEntry, RowRoles, row_roles
from .page import HYPHEN, PageText, read_page
from .rows import Row, paragraph_starts, rows_of
from .tables import FoundTable, find_tables
from .titles import document_title

_MAX_BOOKMARKS = 5_000
_MAX_RANGES = 12  # of page numbers in a note
_HEADING_STEP = 1.35  # letter heights between the lines of one heading
_MAX_HEADING = 200
_MAX_HALF = 60  # characters of a broken word on each side
_LAST_WORD, _FIRST_WORD = re.compile(r"\w*\Z"), re.compile(r"\A\w*")
_WORD = re.compile(rf"(?<!{HYPHEN})\b\w+(?:-\w+)?\b(?!{HYPHEN})")


def load_pdf(path: Path, limits: LoadLimits) -> LoadedDocument:
    """The text page by page; `notes` name the pages that are missing from it or may be wrong.

    Raises LoadError for an encrypted, truncated or damaged file, too many pages, and only scanned pages.
    """
    import pypdfium2

    try:
        source = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        reason = str(error)
        if "assword" in reason:
            raise LoadError("is encrypted; save a copy without a password") from error
        raise LoadError(f"is truncated or damaged ({squeeze(reason)})") from error
    try:
        return _load(source, limits)
    except pypdfium2.PdfiumError as error:
        raise LoadError(f"is truncated or damaged ({squeeze(str(error))})") from error
    finally:
        source.close()


def _load(source: Any, limits: LoadLimits) -> LoadedDocument:
    count = len(source)
    if count == 0:
        raise LoadError("has no pages")
    if count > limits.max_pages:
        raise LoadError(f"has {count:,} pages, over the limit of {limits.max_pages:,}; split it or raise --max-pages")
    pages = _Pages()
    for number in range(count):
        pages.add(_read(source, number, limits), limits)
    pages.check(limits)
    title = document_title(source.get_metadata_dict().get("Title", ""), [page.rows for page in pages.laid[:3]])
    roles = row_roles(pages.laid, _outline(source))
    return _assemble(pages, roles, title, limits)


def _read(source: Any, number: int, limits: LoadLimits) -> PageText:
    page = read_page(source, number, limits.max_characters)
    if not page.scanned or not limits.ocr:
        return page
    from .ocr import read_scan

    return read_scan(source, number, page)


class _Pages:
    """What was read of each page, laid out, and what there is to say about it."""

    def __init__(self) -> None:
        self.laid: list[LaidPage] = []
        self.tables: list[list[FoundTable]] = []
        self.hidden: list[tuple[tuple[str, str], ...]] = []
        self.scanned: list[int] = []
        self.recognised: list[int] = []
        self.garbled: list[int] = []
        self.layered: list[int] = []
        self.errors: dict[int, str] = {}
        self._characters = 0

    def add(self, page: PageText, limits: LoadLimits) -> None:
        """Lays out the next page. Raises LoadError once there is too much text."""
        number = len(self.laid) + 1
        if page.error:
            self.errors[number] = squeeze(page.error)
        if page.recognised:
            self.recognised.append(number)
        elif page.scanned:
            self.scanned.append(number)
        if page.garbled:
            self.garbled.append(number)
        if page.layered:
            self.layered.append(number)
        self.hidden.append(page.hidden)
        self._characters += sum(len(line.text) for line in page.lines)
        check_length(self._characters, limits)
        rows = rows_of(page.lines)
        tables = find_tables(rows)
        tabular = frozenset(chain.from_iterable(range(table.start, table.end) for table in tables))
        self.laid.append(LaidPage(tuple(rows), tuple(paragraph_starts(rows)), tabular))
        self.tables.append(tables)

    def check(self, limits: LoadLimits) -> None:
        """Raises LoadError, with the reason, for a document without text."""
        count = len(self.laid)
        if any(row.text for page in self.laid for row in page.rows if any(c.isalnum() for c in row.text)):
            return
        if self.scanned:
            tried = "scanned pages need OCR; install the extra `ocr` of fathom-rag and index with --ocr"
            raise LoadError(f"has only scanned pages ({len(self.scanned):,} of {count:,}): {tried}")
        if self.recognised:
            raise LoadError(f"has only scanned pages ({count:,}), and OCR found no text on them")
        if self.errors:
            first = next(iter(self.errors.values()))
            raise LoadError(f"is truncated or damaged (none of its {count:,} pages can be read: {first})")
        raise LoadError(f"has no text on its {count:,} pages")

    def notes(self) -> list[str]:
        """What the text lacks, a line each."""
        notes = []
        if self.scanned:
            notes.append(f"{_pages(self.scanned)} scanned, not in the text: scanned pages need OCR (--ocr)")
        if self.recognised:
            notes.append(f"{_pages(self.recognised)} scanned, read by OCR")
        if self.layered:
            notes.append(
                f"{_pages(self.layered)} pictures with unseen text over them, as OCR writes it: it may be wrong"
            )
        if self.garbled:
            notes.append(f"{_pages(self.garbled)} in fonts without Unicode: the text may be garbled")
        for reason in sorted(set(self.errors.values())):
            notes.append(f"{_pages([n for n, r in self.errors.items() if r == reason])} not read: {reason}")
        return notes


def _pages(numbers: Sequence[int]) -> str:
    """`page 3` or `pages 3-5, 9`."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    shown = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:_MAX_RANGES])
    more = f" and {sum(map(len, runs[_MAX_RANGES:]))} more" if len(runs) > _MAX_RANGES else ""
    return f"page{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _outline(source: Any) -> list[OutlineEntry]:
    """The bookmarks that point to a page of this document; an outline that cannot be read is none."""
    import pypdfium2

    entries: list[OutlineEntry] = []
    try:
        for bookmark in source.get_toc(max_depth=6):
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            if page is not None and len(entries) < _MAX_BOOKMARKS:
                entries.append(OutlineEntry(bookmark.level + 1, squeeze(bookmark.get_title()), page))
    except (pypdfium2.PdfiumError, UnicodeDecodeError):
        return entries
    return entries


class _Hyphens:
    """Joins words that a line's end broke. `long-term` keeps its hyphen where the document writes it so elsewhere, or
    has both halves as words and the whole nowhere.
    """

    def __init__(self, pages: Iterable[LaidPage]) -> None:
        texts = [row.text for page in pages for row in page.rows]
        self._words: set[str] = set()
        if any(HYPHEN in text for text in texts):
            self._words = {word.lower() for text in texts for word in _WORD.findall(text)}

    def join(self, text: str) -> str:
        """The text without marks of broken words."""
        whole, *rest = text.split(HYPHEN)
        for part in rest:
            whole += self._joint(whole, part) + part
        return whole

    def _joint(self, whole: str, part: str) -> str:
        """What stands between the halves: a hyphen or nothing."""
        before = _LAST_WORD.findall(whole[-_MAX_HALF:])[0]
        after = _FIRST_WORD.findall(part[:_MAX_HALF])[0]
        known = {word for word in (before, after, before + after, f"{before}-{after}") if word.lower() in self._words}
        compound = {before, after} <= known and before + after not in known
        keeps = not after or f"{before}-{after}" in known or compound
        return "-" if keeps else ""


def _assemble(pages: _Pages, roles: Sequence[RowRoles], title: str, limits: LoadLimits) -> LoadedDocument:
    hyphens = _Hyphens(pages.laid)
    builder = DocumentBuilder(limits)
    laid = zip(pages.laid, pages.tables, roles, pages.hidden, strict=True)
    for number, (page, tables, role, hidden) in enumerate(laid, 1):
        writer = _PageWriter(page, role, hyphens)
        writer.write(tables)
        text = "".join(writer.parts).rstrip()
        start = builder.pages[-1].end if builder.pages else 0
        builder.page(number, text)
        for reason, unseen in hidden:
            builder.hide(reason, hyphens.join(unseen))
        builder.headings += [replace(heading, start=heading.start + start) for heading in writer.headings]
        builder.tables += [Table(t.start + start, min(t.end, len(text) + 1) + start, t.header) for t in writer.tables]
    builder.notes += pages.notes()
    return builder.build("pdf", hyphens.join(title))


class _PageWriter:
    """A page's text: lines, blank lines between paragraphs, tables as pipe rows. Offsets begin at the page."""

    def __init__(self, page: LaidPage, role: RowRoles, hyphens: _Hyphens) -> None:
        self._page, self._role, self._hyphens = page, role, hyphens
        self._length = 0
        self._above = -1  # the row before, if it belongs to a heading
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self.tables: list[Table] = []

    def write(self, tables: Sequence[FoundTable]) -> None:
        """Fills parts, headings and tables."""
        starting = {table.start: table for table in tables}
        index = 0
        while index < len(self._page.rows):
            if table := starting.get(index):
                self._table(table)
                index = table.end
            else:
                self._row(index)
                index += 1

    def _line(self, text: str) -> None:
        self.parts.append(text + "\n")
        self._length += len(text) + 1

    def _blank(self) -> None:
        if self.parts and self.parts[-1] != "\n":
            self._line("")

    def _row(self, index: int) -> None:
        page, role = self._page, self._role
        text = self._hyphens.join(page.rows[index].text)
        running = index in role.running
        level = role.levels.get(index, 0)
        if level and self._continues(index):
            last = self.headings.pop()
            self.headings.append(replace(last, title=f"{last.title} {text}"))
        elif level:
            self._blank()  # so that a heading opens a paragraph
            self.headings.append(Heading(level, text, self._length))
        elif running or page.opens[index] or index - 1 in role.running:
            self._blank()  # running titles and page numbers do not run on into sentences
        self._line(text)
        self._above = index if level else -1

    def _continues(self, index: int) -> bool:
        """Whether a heading's row runs on from the heading's row above it."""
        if self._above != index - 1 or not self.headings:
            return False
        before, row = self._page.rows[index - 1], self._page.rows[index]
        if (before.height, before.bold) != (row.height, row.bold) or len(self.headings[-1].title) > _MAX_HEADING:
            return False
        if before.text.isupper() != row.text.isupper():
            return False
        levels = self._role.levels
        return levels[index] >= levels[index - 1] and 0 < _step(before, row) < _HEADING_STEP * row.height

    def _table(self, table: FoundTable) -> None:
        self._blank()
        start = self._length
        for cells in table.cells:
            self._line(self._hyphens.join(pipe_row(cells)))
        header = self._hyphens.join(pipe_row(table.cells[0])) if table.has_header else ""
        self.tables.append(Table(start, self._length, header))
        self._line("")
        self._above = -1


def _step(before: Row, row: Row) -> float:
    """Points from one row's lower edge down to the next one's."""
    return before.last_bottom - row.bottom

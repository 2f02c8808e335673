"""What loaders share: a builder that keeps offsets while text grows, table rows, headings of plain text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..documents import Heading, HiddenText, LoadedDocument, Page, Table
from ..errors import LoadError
from .limits import LoadLimits

MAX_TITLE_CHARACTERS = 200
_HIDDEN_JOINED = 1000  # characters of one hidden text, from which another one begins
_MAX_MARKED_LINE = 1000  # characters; a longer line is no heading, fence or mail header

_SPACES = re.compile(r"[^\S\n]+")
_NUMBERED = re.compile(
    r"^(?:(?i:article|section|annex|appendix|part)\s+((?:\d+\.)*\d+|[A-Z])[.):]?"
    r"|((?:\d{1,3}\.)*\d{1,3})[.):]?|([A-Z])[.):])\s+[^\W\d_a-z]"
)
_FENCE = re.compile(r"^\s*(`{3,}(?!.*`)|~{3,})")
_MAIL_HEADER = re.compile(r"^(From|To|Cc|Bcc|Date|Sent|Subject):\s*(.+)$")
_ATX = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")


def squeeze(text: str) -> str:
    """The text on one line, runs of white space as one blank."""
    return " ".join(text.split())


def clean_line(line: str) -> str:
    """A line without control characters and with runs of blanks as one; indentation goes too."""
    return _SPACES.sub(" ", "".join(c for c in line if c == "\t" or c >= " ")).strip()


def check_length(characters: int, limits: LoadLimits) -> None:
    """Raises LoadError for more text than a document may hold."""
    if characters > limits.max_characters:
        raise LoadError(f"holds {characters:,} characters, over the limit of {limits.max_characters:,}; split it")


class DocumentBuilder:
    """Grows a document's text block by block and remembers where pages, headings and tables lie.

    With limits it raises LoadError as soon as the text is too long, so that no loader piles up more.
    """

    def __init__(self, limits: LoadLimits | None = None) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._hidden_characters = 0
        self._limits = limits
        self.pages: list[Page] = []
        self.headings: list[Heading] = []
        self.tables: list[Table] = []
        self.notes: list[str] = []
        self.hidden: list[HiddenText] = []

    def hide(self, reason: str, text: str) -> None:
        """Keeps apart what a reader does not see; what follows on text hidden for the same reason joins it."""
        text = squeeze(text)
        if not any(map(str.isalnum, text)):  # bullets, signs of paragraphs
            return
        self._hidden_characters += len(text)
        if self._limits:
            check_length(self._hidden_characters, self._limits)
        page = self.pages[-1].number if self.pages else None
        last = self.hidden[-1] if self.hidden else None
        if last and (last.reason, last.page) == (reason, page) and len(last.text) < _HIDDEN_JOINED:
            self.hidden[-1] = HiddenText(reason, f"{last.text} {text}", page)
        else:
            self.hidden.append(HiddenText(reason, text, page))

    def block(self, text: str) -> None:
        """Appends a paragraph and a blank line."""
        if text:
            self._append(text + "\n\n")

    def line(self, text: str) -> None:
        """Appends a line without a blank one after it."""
        self._append(text + "\n")

    def heading(self, level: int, title: str) -> None:
        """Appends a heading as a Markdown line."""
        title = squeeze(title)
        if title:
            self.headings.append(Heading(level, title, self._length))
            self.block("#" * level + " " + title)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Appends a table as pipe rows; its first row names the columns."""
        lines = [pipe_row(row) for row in rows if any(cell.strip() for cell in row)]
        if lines:
            start = self._length
            self.block("\n".join(lines))
            self.tables.append(Table(start, self._length, lines[0]))

    def records(self, header: str, lines: Iterable[str]) -> None:
        """Appends a table whose lines can each be read alone; the header line names the columns."""
        start = self._length
        self._append(header + "\n")
        for line in lines:
            self._append(line + "\n")
        self.tables.append(Table(start, self._length, header))
        self._append("\n")

    def embed(self, document: LoadedDocument, below: int) -> None:
        """Appends a whole document, its headings below level `below`; its pages are not this document's."""
        start, text = self._length, document.text.strip("\n")
        shift = start - (len(document.text) - len(document.text.lstrip("\n")))
        self.block(text)
        end = start + len(text)
        for heading in document.headings:
            self.headings.append(Heading(below + heading.level, heading.title, heading.start + shift))
        for table in document.tables:
            self.tables.append(Table(max(table.start + shift, start), min(table.end + shift, end), table.header))
        self.notes.extend(document.notes)
        self.hidden.extend(replace(item, page=None) for item in document.hidden)

    def open_page(self, number: int) -> None:
        """Ends the page before, if any, and begins another with what is appended next."""
        self.close_page()
        self.pages.append(Page(number, self._length, self._length))

    def close_page(self) -> None:
        """Stretches the page that was opened last to here."""
        if self.pages:
            self.pages[-1] = Page(self.pages[-1].number, self.pages[-1].start, self._length)

    def page(self, number: int, text: str) -> None:
        """Appends a page; pages touch, so every character belongs to one."""
        start = self._length
        self._append(text.rstrip() + "\n\n")
        self.pages.append(Page(number, start, self._length))

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._limits:
            check_length(self._length, self._limits)

    def build(self, kind: str, title: str) -> LoadedDocument:
        """The document; the title falls back to its first heading or line."""
        text = "".join(self._parts).rstrip() + "\n"
        pages = [Page(p.number, min(p.start, len(text)), min(p.end, len(text))) for p in self.pages]
        tables = [Table(t.start, min(t.end, len(text)), t.header) for t in self.tables]
        name = title or (self.headings[0].title if self.headings else first_line(text))
        return LoadedDocument(
            kind,
            name[:MAX_TITLE_CHARACTERS],
            text,
            tuple(pages),
            tuple(self.headings),
            tuple(tables),
            tuple(self.notes),
            tuple(self.hidden),
        )


def pipe_row(cells: Iterable[str]) -> str:
    """Cells as one readable line: `| a | b |`, pipes inside cells escaped."""
    return "| " + " | ".join(squeeze(cell).replace("|", "\\|") for cell in cells) + " |"


def first_line(text: str) -> str:
    """The first line with a letter or digit, or nothing."""
    return next((squeeze(line) for line in text.splitlines() if any(c.isalnum() for c in line[:_MAX_MARKED_LINE])), "")


def markdown_headings(text: str) -> list[Heading]:
    """ATX (`## …`) and setext (underlined) headings outside of code fences."""
    headings: list[Heading] = []
    offset, fence, previous, previous_start = 0, "", "", 0
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if len(line) > _MAX_MARKED_LINE:
            pass
        elif (match := _FENCE.match(line)) and (not fence or match[1].startswith(fence)):
            fence = "" if fence else match[1]
        elif not fence:
            if match := _ATX.match(line.rstrip()):
                headings.append(Heading(len(match[1]), match[2].strip("* "), offset))
            elif len(bare) >= 3 and set(bare) in ({"="}, {"-"}) and previous and not previous.startswith("|"):
                headings.append(Heading(1 if bare[0] == "=" else 2, previous, previous_start))
        previous, previous_start = bare[:_MAX_MARKED_LINE], offset
        offset += len(line)
    return headings


def markdown_tables(text: str) -> list[Table]:
    """Pipe tables: a row of cells, a row of dashes, and the rows that follow."""
    tables: list[Table] = []
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    index = 0
    while index + 1 < len(lines):
        rule = lines[index + 1].strip()
        if lines[index].lstrip().startswith("|") and "-" in rule and set(rule) <= set("|-: "):
            end = index + 2
            while end < len(lines) and lines[end].lstrip().startswith("|"):
                end += 1
            tables.append(Table(starts[index], starts[end], lines[index].strip()))
            index = end
        else:
            index += 1
    return tables


def plain_headings(text: str) -> list[Heading]:
    """Headings of unmarked text: underlined, numbered or upper-case short lines, and the start of e-mails.

    A heuristic: a line of at most 80 characters that ends without a full stop and stands alone (a blank
    line or a page's start before it) and is numbered (`3.2 Scope`, `Annex B Measures`) or all upper case.
    """
    headings = {heading.start: heading for heading in [*markdown_headings(text), *mail_headings(text)]}
    offset, before_blank = 0, True
    for line in text.splitlines(keepends=True):
        bare = squeeze(line)
        if before_blank and 3 <= len(bare) <= 80 and bare[-1] not in ".,;:|" and offset not in headings:
            if match := _NUMBERED.match(bare):
                headings[offset] = Heading(2 + match[match.lastindex or 0].count("."), bare, offset)
            elif bare.isupper() and sum(c.isalpha() for c in bare) >= 4:
                headings[offset] = Heading(2, bare, offset)
        before_blank = not bare or set(bare) <= set("-=_*")
        offset += len(line)
    return [headings[start] for start in sorted(headings)]


def mail_headings(text: str) -> list[Heading]:
    """The start of each e-mail of a thread: two or more header lines in a row, one of them From or Subject.

    A mail without a subject of its own takes the last one; its sender is named.
    """
    headings: list[Heading] = []
    subject, offset = "", 0
    block: dict[str, str] = {}
    start = 0
    for line in [*text.splitlines(keepends=True), "\n"]:
        if match := _MAIL_HEADER.match(line[:_MAX_MARKED_LINE]):
            if not block:
                start = offset
            block[match[1].lower()] = squeeze(match[2])
        elif not (block and line[:1].isspace() and line.strip()):  # else a header line's continuation
            subject = block.get("subject", subject)
            if len(block) >= 2 and block.keys() & {"from", "subject"}:
                sender = block.get("from", "").split("<")[0].split("(")[0].strip()
                title = " ".join(filter(None, [subject or "E-mail", f"(from {sender})" if sender else ""]))
                headings.append(Heading(2, title, start))
            block = {}
        offset += len(line)
    return headings

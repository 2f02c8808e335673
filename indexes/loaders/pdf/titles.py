"""A PDF's title: from a filing's cover, from the metadata where they hold a title, or the first large lines."""

import re
from collections.abc import Sequence

from ..parts import MAX_TITLE_CHARACTERS, squeeze
from .rows import Row

_COVER_PAGES = 2
_MAX_COVER = 20_000  # characters
_MAX_METADATA = 1_000
_TITLE_PAGES = 3
_TITLE_ROWS = 6

_DATE = r"([A-Z][a-z]+\s+\d{1,2}\s*,\s*\d{4})"
_FORM = re.compile(r"\bform\s+(\d{1,2}-[A-Z]{1,2}(?:/A)?|[SF]-\d{1,2}(?:/A)?)", re.IGNORECASE)
_PERIOD = re.compile(
    r"\bfor the ((?:fiscal |transition )?year|quarterly period|quarter|period) ended:?\s+" + _DATE, re.I
)
_REPORTED = re.compile(r"\bdate of (?:report|earliest event)[^:]{0,60}:?\s*" + _DATE, re.IGNORECASE)
_NAMED = re.compile(r"\(?\s*exact name of (?:the )?(?:registrant|company)", re.IGNORECASE)
_NUMBERED = re.compile(r"commission file (?:number|no)", re.IGNORECASE)  # the company's name follows, if unlabelled
_JUNK = re.compile(
    r"""microsoft\ (?:word|powerpoint|excel)\b.*   # "Microsoft Word - doc1"
    |\d{10}-\d{2}-\d{6}                            # an accession number
    |.*\.(?:docx?|pdf|indd|xlsx?|pptx?|html?|rtf|tex|dvi|ps|qxp|qxd|txt|tiff?|jpe?g|png)
    |(?:untitled|document|doc|print|layout|slide|scan|presentation|title|page|index|default|pdf|draft|final)[\W_\d]*
    |(?:united\ states\s+)?securities\ and\ exchange\ commission|united\ states.*commission
    |(?:https?:|file:|[A-Z]:\\).*
    |\S*[_\d]\S*                                   # one word with digits or underscores: a file's name
    |[\W\d_]*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def document_title(metadata: str, pages: Sequence[Sequence[Row]]) -> str:
    """The title, or nothing where neither cover nor metadata nor letters tell one."""
    metadata = squeeze(metadata[:_MAX_METADATA])
    title = cover_title(pages) or ("" if is_junk(metadata) else metadata) or _large_lines(pages)
    return title[:MAX_TITLE_CHARACTERS]


def is_junk(title: str) -> bool:
    """Whether a title of the metadata says nothing about the document: a file name, a number, a program's default."""
    return _JUNK.fullmatch(title.strip()) is not None


def cover_title(pages: Sequence[Sequence[Row]]) -> str:
    """Company, form and period of a filing, from the lines that its cover must carry; else nothing."""
    for rows in pages[:_COVER_PAGES]:
        texts = [row.text for row in rows]
        name = next((_above(texts, i) for i, text in enumerate(texts) if _NAMED.match(text)), "")
        name = name or next((_below(texts, i) for i, text in enumerate(texts) if _NUMBERED.search(text)), "")
        whole = " ".join(texts)[:_MAX_COVER]
        form = _FORM.search(whole)
        if not name or not form:
            continue
        title = f"{name}, Form {form[1].upper()}"
        if period := _PERIOD.search(whole):
            return f"{title}, {period[1].lower()} ended {squeeze(period[2])}"
        reported = _REPORTED.search(whole)
        return f"{title}, {squeeze(reported[1])}" if reported else title
    return ""


def _above(texts: Sequence[str], index: int) -> str:
    """The nearest line above with letters in it."""
    for text in reversed(texts[max(0, index - 3) : index]):
        if sum(c.isalpha() for c in text) > 1:
            return squeeze(text.strip("_ "))[:100]
    return ""


def _below(texts: Sequence[str], index: int) -> str:
    """The next line if it can be a name."""
    for text in texts[index + 1 : index + 3]:
        if sum(c.isalpha() for c in text) > 1:
            return "" if text.startswith("(") or ":" in text else squeeze(text)[:100]
    return ""


def _large_lines(pages: Sequence[Sequence[Row]]) -> str:
    """The first lines in the tallest letters of the first page with text, if some lines there are smaller."""
    for rows in pages[:_TITLE_PAGES]:
        heights = [row.height for row in rows if row.height and sum(c.isalpha() for c in row.text) > 2]
        if not heights:
            continue
        tallest = max(heights)
        if tallest <= 1.08 * min(heights):
            return ""
        first = next(i for i, row in enumerate(rows) if row.height == tallest)
        lines = []
        for row in rows[first : first + _TITLE_ROWS]:
            if row.height != tallest:
                break
            lines.append(row.text)
        title = squeeze(" ".join(lines))
        return "" if is_junk(title) else title
    return ""

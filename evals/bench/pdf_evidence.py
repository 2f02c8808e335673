"""Whether the evidence of a question stands in the text of its page: its words, its lines, and the rows of its tables.

The evidence was taken by another extractor, so texts are compared as tokens: runs of letters and digits, lower case.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS_SHARE = 0.9  # of a string's tokens that make it found
_TABLE_ROWS = 4  # rows of values that make a string a table
_TOKEN = re.compile(r"[^\W_]+")
_VALUES = re.compile(r"[\s$€£%()\[\],.\d—–-]*\d[\s$€£%()\[\],.\d—–-]*")
_YEAR = re.compile(r"\D*(?:19|20)\d\d\D*")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A string that answers a question. `page` counts from 0."""

    question: str
    document: str
    page: int
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What of a string stands on its page. `reason` says what is missing of one whose words were not found."""

    document: str
    page: int
    words: bool
    lines: int
    lines_in_order: int
    rows: int
    rows_in_line: int
    reason: str = ""


def read_evidence(folder: Path) -> list[Evidence]:
    """The evidence of the questions whose PDF lies in the folder's `pdfs/`."""
    items = []
    with (folder / "financebench_open_source.jsonl").open(encoding="utf-8") as stream:
        for question in map(json.loads, stream):
            for item in question["evidence"]:
                if (folder / "pdfs" / f"{item['doc_name']}.pdf").exists():
                    page, text = item["evidence_page_num"], item["evidence_text"]
                    items.append(Evidence(question["financebench_id"], item["doc_name"], page, text))
    return items


def tokens(text: str) -> list[str]:
    """Runs of letters and digits, lower case; ligatures are their letters, a broken word is whole."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def words_share(evidence: str, page: str) -> float:
    """The share of the evidence's tokens, as a multiset, that the page has. An empty string is found."""
    wanted, there = Counter(tokens(evidence)), Counter(tokens(page))
    return (wanted & there).total() / wanted.total() if wanted else 1.0


def stands_in_order(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether the tokens of `part` stand one after the other in `whole`."""
    # Blanks at the ends keep tokens whole: "1 2" is not in "11 2".
    return f" {' '.join(part)} " in f" {' '.join(whole)} "


def table_rows(evidence: str) -> list[tuple[str, list[str]]]:
    """Label and values of each row of evidence that has one cell a line; none where it is no table.

    Rows whose values are only years name columns and are left out, as are sentences before a page's number.
    """
    rows: list[tuple[str, list[str]]] = []
    label, values = "", list[str]()
    for line in [*evidence.splitlines(), "end"]:
        if _VALUES.fullmatch(line):
            values.append(line)
        elif any(c.isalpha() for c in line):
            if (
                label
                and values
                and not label.rstrip().endswith(".")
                and not all(_YEAR.fullmatch(value) for value in values)
            ):
                rows.append((label, values))
            label, values = line, []
    return rows if len(rows) >= _TABLE_ROWS else []


def row_in_line(label: str, values: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    """Whether one line has the label's tokens and, after them, those of the values in order."""
    name, numbers = tokens(label), tokens(" ".join(values))
    return any(
        list(line[i : i + len(name)]) == name and _in_turn(numbers, line[i + len(name) :])
        for line in lines
        for i in range(len(line) - len(name) + 1)
    )


def _in_turn(wanted: Sequence[str], there: Sequence[str]) -> bool:
    rest = iter(there)
    return all(token in rest for token in wanted)


def look_for(item: Evidence, pages: Sequence[str]) -> Found:
    """Looks for the evidence on its page of a document."""
    page = pages[item.page] if item.page < len(pages) else ""
    there = tokens(page)
    parts = [part for line in item.text.splitlines() if (part := tokens(line))]
    rows = table_rows(item.text)
    lines = [tokens(line) for line in page.splitlines()]
    share = words_share(item.text, page)
    return Found(
        item.document,
        item.page,
        share >= WORDS_SHARE,
        len(parts),
        sum(stands_in_order(part, there) for part in parts),
        len(rows),
        sum(row_in_line(label, values, lines) for label, values in rows),
        "" if share >= WORDS_SHARE else _reason(item, pages, share),
    )


def _reason(item: Evidence, pages: Sequence[str], share: float) -> str:
    best = max(range(len(pages)), key=lambda number: words_share(item.text, pages[number]), default=0)
    elsewhere = words_share(item.text, pages[best]) if pages else 0.0
    missing = Counter(tokens(item.text)) - Counter(tokens(pages[item.page] if item.page < len(pages) else ""))
    if elsewhere >= WORDS_SHARE:
        return f"stands on page {best} ({elsewhere:.2f} of its words, here {share:.2f})"
    return f"{share:.2f} of its words here, at most {elsewhere:.2f} on page {best}; missing: {' '.join(missing)[:120]}"

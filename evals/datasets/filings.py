"""Readers of two sets of questions over quarterly and annual reports, with and without companies' names."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

SEC10Q, FINANCEBENCH = "kgrag_sec10q", "financebench"

# The names that the questions use of companies whose file names hold tickers or run their words together.
_ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "AAPL": ("Apple",),
    "AMZN": ("Amazon",),
    "INTC": ("Intel",),
    "MSFT": ("Microsoft",),
    "NVDA": ("NVIDIA",),
    "American Express": ("AMEX",),
    "Johnson & Johnson": ("JnJ", "J&J"),
    "MGM Resorts": ("MGM",),
    "CVS Health": ("CVS",),
    "Ulta Beauty": ("Ulta",),
}


@dataclass(frozen=True, slots=True)
class FilingQuestion:
    """A question, the files that answer it, and their evidence pages (file, page from 1) where the data names them.

    `companies` are the names of the companies that the question may use.
    """

    id: str
    text: str
    files: frozenset[str]
    pages: frozenset[tuple[str, int]]
    companies: tuple[str, ...]

    def nameless(self) -> "FilingQuestion":
        """The question with the companies' names, and a genitive s after them, taken out."""
        names = "|".join(re.escape(name) for name in sorted(self.companies, key=len, reverse=True))
        text = re.sub(rf"(?<!\w)(?:{names})(?:['’]s|['’])?(?!\w)", " ", self.text, flags=re.IGNORECASE)
        return replace(self, text=" ".join(text.split()))


def folders(data: Path) -> list[Path]:
    """The folders of both sets' PDF files."""
    return [data / SEC10Q / "docs", data / FINANCEBENCH / "pdfs"]


def sec10q(data: Path) -> list[FilingQuestion]:
    """195 questions over 20 quarterly reports. 'Source Docs' names files by a pattern, such as `*2023 Q3 AAPL*`."""
    files = sorted(path.name for path in (data / SEC10Q / "docs").glob("*.pdf"))
    tickers = sorted({Path(name).stem.split()[-1] for name in files})
    companies = tuple(name for ticker in tickers for name in _called(ticker))
    with (data / SEC10Q / "qna_data.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        FilingQuestion(
            f"sec10q-{number}", row["Question"].strip(), _matching(row["Source Docs"], files), frozenset(), companies
        )
        for number, row in enumerate(rows, 1)
    ]


def financebench(data: Path) -> list[FilingQuestion]:
    """The 63 questions whose PDF is here, each with one file. The data counts evidence pages from 0."""
    folder = data / FINANCEBENCH
    here = set((folder / "ids_with_pdf_here.txt").read_text(encoding="utf-8").split())
    lines = (folder / "financebench_open_source.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["financebench_id"] in here]
    companies = tuple(name for company in sorted({row["company"] for row in rows}) for name in _called(company))
    return [
        FilingQuestion(
            row["financebench_id"],
            row["question"],
            frozenset([f"{row['doc_name']}.pdf"]),
            frozenset((f"{item['doc_name']}.pdf", item["evidence_page_num"] + 1) for item in row["evidence"]),
            companies,
        )
        for row in rows
    ]


def _called(company: str) -> tuple[str, ...]:
    return (company, *_ALSO_CALLED.get(company, ()))


def _matching(patterns: str, files: Sequence[str]) -> frozenset[str]:
    """Files that match one of the patterns. Raises ValueError where none does."""
    found = {name for pattern in patterns.split(",") for name in files if fnmatchcase(name, pattern.strip())}
    if not found:
        raise ValueError(f"no file matches {patterns!r}, expected patterns of names such as {files[0]!r}")
    return frozenset(found)

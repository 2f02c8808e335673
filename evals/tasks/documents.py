"""Document ranking over real filings: is the right filing first, and the page that holds the evidence.

    python -m evals.tasks.documents DATA [--collection FOLDER] [--mode MODE] [--json FILE]

The 38 PDF files of two sets are one collection, which --collection keeps for the next run. Each question is asked as
it is and without the companies' names. Recall counts the share of a question's files, and of its evidence pages where
the data names them, among the first 1, 3 and 5 of the ranking.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.context import run_context
from evals.datasets.filings import FilingQuestion, financebench, folders, sec10q
from evals.scorers import ranking as metrics
from indexes.collection import Collection
from indexes.documents import Hit
from indexes.search.ranking import SearchMode

CUTS = (1, 3, 5)
CHUNKS = 100


@dataclass(frozen=True, slots=True)
class Score:
    """Mean recall of files and of pages among the first of CUTS, with intervals; pages are None without labels."""

    questions: str
    named: bool
    files: dict[int, metrics.Interval]
    pages: dict[int, metrics.Interval] | None


def groups(data: Path) -> Mapping[str, list[FilingQuestion]]:
    """The questions by what they ask for."""
    quarterly = sec10q(data)
    return {
        "sec10q, one filing": [question for question in quarterly if len(question.files) == 1],
        "sec10q, several filings": [question for question in quarterly if len(question.files) > 1],
        "financebench": financebench(data),
    }


def score(
    collection: Collection, label: str, questions: Sequence[FilingQuestion], mode: SearchMode, named: bool
) -> Score:
    """Recall over the questions, asked with or without the companies' names."""
    files: dict[int, list[float]] = {k: [] for k in CUTS}
    pages: dict[int, list[float]] = {k: [] for k in CUTS}
    for question in questions:
        asked = question if named else question.nameless()
        found = collection.search(asked.text, CHUNKS, mode)
        ranked_files = [Path(item.document.name).name for item in found.documents]
        ranked_pages = page_ranking(found.hits)
        for k in CUTS:
            files[k].append(metrics.recall(ranked_files, asked.files, k))
            pages[k].append(metrics.recall(ranked_pages, asked.pages, k))
    labelled = any(question.pages for question in questions)
    return Score(
        label,
        named,
        {k: metrics.bootstrap(values) for k, values in files.items()},
        {k: metrics.bootstrap(values) for k, values in pages.items()} if labelled else None,
    )


def page_ranking(hits: Sequence[Hit]) -> list[tuple[str, int]]:
    """Pages (file, number from 1) in the order in which the best chunks lie on them, each once."""
    ranked: dict[tuple[str, int], None] = {}
    for hit in hits:
        if hit.chunk.first_page is None:
            continue
        for number in range(hit.chunk.first_page, (hit.chunk.last_page or hit.chunk.first_page) + 1):
            ranked.setdefault((Path(hit.document.name).name, number))
    return list(ranked)


def run(data: Path, folder: Path, mode: SearchMode | None) -> list[Score]:
    """Indexes what the collection in the folder does not hold yet, and scores all groups, printing as it goes."""
    collection = Collection.open_or_create(folder)
    try:
        report = collection.add(folders(data))
        print(f"{len(report.added)} files indexed in {report.seconds:.0f} s, {report.chunks:,} chunks in all")
        scores = []
        for named in (True, False):
            for label, questions in groups(data).items():
                item = score(collection, label, questions, mode or collection.default_mode(), named)
                scores.append(item)
                print(_line(item), flush=True)
        return scores
    finally:
        collection.close()


def _line(item: Score) -> str:
    names = "with names" if item.named else "without names"
    n = item.files[CUTS[0]].n
    line = f"{item.questions:24} {names:13} n={n:3}  files " + _recalls(item.files)
    return f"{line}  pages {_recalls(item.pages)}" if item.pages else line


def _recalls(values: Mapping[int, metrics.Interval]) -> str:
    return "  ".join(f"@{k} {value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]" for k, value in values.items())


def main() -> None:
    """Scores all groups and prints a table."""
    parser = argparse.ArgumentParser(description="Score the ranking of filings and of their pages.")
    parser.add_argument("data", type=Path, help="the folder that holds kgrag_sec10q/ and financebench/")
    parser.add_argument("--collection", type=Path, help="keep the index in this folder")
    parser.add_argument("--mode", type=SearchMode, choices=list(SearchMode), help="default: hybrid")
    parser.add_argument("--json", type=Path, help="write the scores to a file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scores = run(arguments.data, arguments.collection or Path(scratch) / ".fathom", arguments.mode)
    result = {"context": asdict(run_context()), "scores": [asdict(item) for item in scores]}
    print(result["context"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

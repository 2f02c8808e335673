"""Questions with gold answers over long documents, from three sets, and the collection that each is asked of."""

import csv
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.datasets.filings import FINANCEBENCH, SEC10Q

Scorer = Literal["number", "numbers", "letter", "words"]
LEVAL = "leval_subset"
# Parts of leval_subset and how their answers are scored. Those without a short gold answer are left out.
LEVAL_PARTS: Mapping[str, Scorer] = {
    "quality": "letter",
    "scientific_qa": "words",
    "natural_question": "words",
    "topic_retrieval_longchat": "words",
}


@dataclass(frozen=True, slots=True)
class QaQuestion:
    """A question, its gold answer and how an answer is scored; `documents` are the files of its collection, or the
    text of the only one."""

    id: str
    group: str
    text: str
    gold: str
    scorer: Scorer
    documents: tuple[Path, ...] | str

    @property
    def collection(self) -> str:
        """The same for questions that share their documents."""
        told = self.documents if isinstance(self.documents, str) else "\n".join(map(str, self.documents))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def sec10q(data: Path) -> list[QaQuestion]:
    """195 questions over 20 quarterly reports. Gold answers are paragraphs; the numbers in them are scored."""
    files = tuple(sorted((data / SEC10Q / "docs").glob("*.pdf")))
    with (data / SEC10Q / "qna_data.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        QaQuestion(f"sec10q-{n}", SEC10Q, row["Question"].strip(), row["Answer"].strip(), "numbers", files)
        for n, row in enumerate(rows, 1)
    ]


def financebench(data: Path) -> list[QaQuestion]:
    """The 63 questions whose PDF is here. A gold answer that begins with a number is scored by it, others by words."""
    folder = data / FINANCEBENCH
    files = tuple(sorted((folder / "pdfs").glob("*.pdf")))
    here = set((folder / "ids_with_pdf_here.txt").read_text(encoding="utf-8").split())
    lines = (folder / "financebench_open_source.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["financebench_id"] in here]
    return [
        QaQuestion(
            row["financebench_id"], FINANCEBENCH, row["question"], str(row["answer"]),
            "number" if _begins_with_number(str(row["answer"])) else "words", files,
        )
        for row in rows
    ]  # fmt: skip


def leval(data: Path) -> list[QaQuestion]:
    """Questions about one long text each: multiple choice, papers, encyclopaedia articles, conversations."""
    found = []
    for part, scorer in LEVAL_PARTS.items():
        lines = (data / LEVAL / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
        for row, record in enumerate(map(json.loads, lines), 1):
            pairs = zip(record["instructions"], record["outputs"], strict=True)
            found += [
                QaQuestion(f"{part}-{row}-{n}", LEVAL, question.strip(), str(gold).strip(), scorer, record["input"])
                for n, (question, gold) in enumerate(pairs, 1)
            ]
    return found


SETS: Mapping[str, Callable[[Path], list[QaQuestion]]] = {SEC10Q: sec10q, FINANCEBENCH: financebench, LEVAL: leval}


def sampled(questions: Sequence[QaQuestion], count: int, seed: int = 0) -> list[QaQuestion]:
    """So many questions of a set, drawn at random, in their order; all where there are no more."""
    chosen = set(random.Random(seed).sample(range(len(questions)), min(count, len(questions))))
    return [question for number, question in enumerate(questions) if number in chosen]


def _begins_with_number(text: str) -> bool:
    return text.lstrip(" $€£-(").partition(".")[0][:1].isdigit()

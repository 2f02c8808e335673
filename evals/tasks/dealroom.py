"""The sample data room's 30 questions: is the right document among the first hits, and what becomes of the answers.

    python -m evals.tasks.dealroom [--answers] [--json FILE]

Retrieval is scored over the 24 questions that the documents answer: a hit counts where its document is one of the
question's evidence documents. With --answers every question goes through `ask`: the share of gold facts found in the
answer's text, how answers ended, and how many unanswerable questions were refused.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.context import run_context
from evals.datasets.dealroom import ROOM, Question, load_questions
from indexes.collection import Collection
from indexes.search.ranking import SearchMode
from pipeline.config import Config
from pipeline.qa.answer import Status

DEPTH = 3


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """Questions with a right document first, and among the first DEPTH chunk hits; `missed` names the others."""

    mode: str
    questions: int
    first: int
    among_first: int
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """How answers ended, by kind of question. `fact_recall` is the mean over answerable ones, where what was refused
    counts 0; None without any."""

    statuses: dict[str, dict[str, int]]
    fact_recall: float | None
    refused_unanswerable: int
    unanswerable: int


def score_retrieval(collection: Collection, questions: Sequence[Question], mode: SearchMode) -> RetrievalScore:
    """Right documents among the first hits, over the questions that have one."""
    answerable = [question for question in questions if question.documents]
    first, among, missed = 0, 0, []
    for question in answerable:
        names = [hit.document.name for hit in collection.search(question.question, DEPTH, mode).hits]
        first += names[:1] != [] and names[0] in question.documents
        if question.documents & set(names):
            among += 1
        else:
            missed.append(question.id)
    return RetrievalScore(mode.value, len(answerable), first, among, tuple(missed))


def score_answers(collection: Collection, questions: Sequence[Question], config: Config | None = None) -> AnswerScore:
    """Every question through the whole pipeline with the default settings, or others, and one engine."""
    from pipeline.engines import engine_source
    from pipeline.session import Session

    config = config or Config()
    source = engine_source(config.engine)
    session = Session(config, collection, source)
    statuses: dict[str, Counter[str]] = {}
    recalls: list[float] = []
    refused = 0
    try:
        for question in questions:
            answer = session.ask(question.question)
            statuses.setdefault(question.kind, Counter())[answer.status.value] += 1
            print(f"{question.id:6} {answer.status.value:12} {answer.text[:100]!r}", flush=True)
            if question.documents:
                said = answer.text.lower() if answer.status is Status.ANSWERED else ""
                recalls.append(sum(fact.lower() in said for fact in question.facts) / len(question.facts))
            else:
                refused += answer.status is not Status.ANSWERED
    finally:
        source.close()
    total = sum(not question.documents for question in questions)
    counts = {kind: dict(counter) for kind, counter in statuses.items()}
    return AnswerScore(counts, sum(recalls) / len(recalls) if recalls else None, refused, total)


def main() -> None:
    """Indexes the room into a scratch collection, scores, prints."""
    parser = argparse.ArgumentParser(description="Score the sample data room's questions.")
    parser.add_argument("--answers", action="store_true", help="also ask every question (minutes)")
    parser.add_argument("--json", type=Path, help="write the scores to a file")
    arguments = parser.parse_args()
    questions = load_questions()
    result: dict[str, object] = {"context": asdict(run_context())}
    with tempfile.TemporaryDirectory() as scratch:
        collection = Collection.open_or_create(Path(scratch) / ".fathom")
        report = collection.add([ROOM])
        print(f"{len(report.added)} documents, {report.chunks} chunks, indexed in {report.seconds:.1f} s")
        scores = [score_retrieval(collection, questions, mode) for mode in SearchMode]
        for score in scores:
            print(
                f"{score.mode:8} right document first {score.first}/{score.questions}, among the first {DEPTH} "
                f"{score.among_first}/{score.questions}; missed: {', '.join(score.missed) or 'none'}"
            )
        result["retrieval"] = [asdict(score) for score in scores]
        if arguments.answers:
            answers = score_answers(collection, questions)
            print(answers)
            result["answers"] = asdict(answers)
        collection.close()
    print(result["context"])
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

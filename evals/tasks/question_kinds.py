"""How often the kind of a question is recognised: across the shipped examples, and on questions of other people.

    python -m evals.tasks.question_kinds [DATA] [--json FILE]

DATA is a folder with `kgrag_sec10q`, `financebench` and `leval_subset`; `evals/data/question_kind_labels.jsonl` holds
labels of 219 of their questions, by checksum, given by hand before the classifier was asked. Of those, "seen" were read
before some of the examples were written, and "fresh" after all of them were. Without DATA only the shipped examples are
counted, each tenth by a classifier that learned from the other nine.
"""

import argparse
import csv
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.context import run_context
from pipeline.qa.question_kind import Example, KindClassifier, QuestionKind, examples, shipped

LABELS = Path(__file__).parents[1] / "datasets" / "data" / "question_kind_labels.jsonl"
PARTS = ("quality", "scientific_qa", "natural_question", "multidoc_qa", "financial_qa")
_ROLE = "You are asked to act as a member of the Financial Results Conference Call and answer the question: "
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Score:
    """Questions of a part and how many of them were recognised, and what was taken for what, most often first."""

    part: str
    questions: int
    right: int
    mistaken: tuple[tuple[str, str, int], ...]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description="Accuracy of the classifier of questions.")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    scores = [cross_validated(examples())]
    if arguments.data:
        if not (arguments.data / "leval_subset").is_dir():
            parser.error(f"{arguments.data} has no folder leval_subset: give the folder of the data sets")
        scores += labelled(questions_by_checksum(arguments.data))
    for score in scores:
        mistakes = ", ".join(f"{count} {wanted} as {found}" for wanted, found, count in score.mistaken[:4])
        print(f"{score.part:<10} {score.right} of {score.questions} ({score.right / score.questions:.0%}); {mistakes}")
    context = asdict(run_context(("numpy",)))
    print(context)
    if arguments.json:
        content = {"context": context, "scores": [asdict(score) for score in scores]}
        arguments.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


def cross_validated(known: list[Example], seed: int = 0) -> Score:
    """Each tenth of the examples by a classifier that learned from the others."""
    shuffled = list(known)
    random.Random(seed).shuffle(shuffled)
    pairs = []
    for fold in range(FOLDS):
        classifier = KindClassifier([example for i, example in enumerate(shuffled) if i % FOLDS != fold])
        pairs += [(example.kind, classifier.guess(example.question).kind) for example in shuffled[fold::FOLDS]]
    return _score("examples", pairs)


def labelled(questions: Mapping[str, str]) -> list[Score]:
    """The shipped classifier on the labelled questions, "seen" and "fresh". Raises ValueError where one is missing."""
    pairs: dict[str, list[tuple[QuestionKind, QuestionKind]]] = {}
    for row in map(json.loads, LABELS.read_text(encoding="utf-8").splitlines()):
        question = questions.get(row["question_sha256"])
        if question is None:
            raise ValueError(f"no question of {row['collection']} has the checksum {row['question_sha256']}")
        pairs.setdefault(row["part"], []).append((QuestionKind(row["kind"]), shipped().guess(question).kind))
    return [_score(part, found) for part, found in pairs.items()]


def questions_by_checksum(data: Path) -> dict[str, str]:
    """All questions of the three collections."""
    return {hashlib.sha256(text.encode()).hexdigest()[:16]: text for text in _questions(data)}


def _questions(data: Path) -> Iterator[str]:
    with (data / "kgrag_sec10q" / "qna_data.csv").open(encoding="utf-8-sig", newline="") as stream:
        yield from (row["Question"] for row in csv.DictReader(stream))
    lines = (data / "financebench" / "financebench_open_source.jsonl").read_text(encoding="utf-8").splitlines()
    yield from (json.loads(line)["question"] for line in lines)
    for part in PARTS:
        for line in (data / "leval_subset" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
            for question in json.loads(line)["instructions"]:
                bare = question.split("\n\n (A)")[0].split("\n (A)")[0]
                yield bare.replace(_ROLE, "").strip()


def _score(part: str, pairs: list[tuple[QuestionKind, QuestionKind]]) -> Score:
    mistakes = Counter((wanted.value, found.value) for wanted, found in pairs if wanted is not found)
    listed = tuple((wanted, found, count) for (wanted, found), count in mistakes.most_common())
    return Score(part, len(pairs), sum(wanted is found for wanted, found in pairs), listed)


if __name__ == "__main__":
    main()

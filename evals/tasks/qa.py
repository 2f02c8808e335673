"""Questions with gold answers over long documents: passages, whole documents, auto and Self-Route side by side.

    python -m evals.tasks.qa prepare DATA PROMPTS --model MODEL [--sets …] [--questions 60] [--collections FOLDER]
                                     [--variants]
    python -m evals.tasks.qa answer PROMPTS ANSWERS --model MODEL [--readings chunked,native,whole]
    python -m evals.tasks.qa score PROMPTS ANSWERS [--json FILE]

DATA is a folder with `kgrag_sec10q`, `financebench` and `leval_subset`. `prepare` needs no GPU: it retrieves, decides
and packs for every question, for an engine of the model on a GPU with a 16-bit cache. `answer` reads the prompts with
the embedded engine, one at a time, and goes on where it was when it is called again; its prefix cache is off, so that
each time to the first token is that of a question asked alone. `score` needs no model.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import chain, zip_longest
from pathlib import Path

from engine.base import Engine
from engine.embedded import EmbeddedEngine
from engine.models.resolution import ModelFiles, cache_folder, locate
from engine.preview import EmbeddedSettings
from evals.context import run_context
from evals.datasets.qa import SETS, QaQuestion, sampled
from evals.qa_answers import answer, read_records
from evals.qa_prompts import PlannedSource, Planner, prepared
from evals.scorers.qa import joined, outcomes, report, route_accuracy, summarise, variants
from indexes.collection import Collection


def main() -> None:
    """Runs one of the three steps."""
    parser = argparse.ArgumentParser(description="Question answering by route.")
    steps = parser.add_subparsers(dest="step", required=True)
    prepare_step = steps.add_parser("prepare")
    prepare_step.add_argument("data", type=Path)
    prepare_step.add_argument("prompts", type=Path)
    prepare_step.add_argument("--model", required=True)
    prepare_step.add_argument("--sets", default=",".join(SETS))
    prepare_step.add_argument("--questions", type=int, default=60, help="of each set, drawn at random")
    prepare_step.add_argument("--collections", type=Path, help="keeps the indexes for the next time")
    prepare_step.add_argument("--variants", action="store_true", help="passages of other lengths, other orders")
    answer_step = steps.add_parser("answer")
    answer_step.add_argument("prompts", type=Path)
    answer_step.add_argument("answers", type=Path)
    answer_step.add_argument("--model", required=True)
    answer_step.add_argument("--readings", default="*", help="patterns, such as chunked,native,whole or chunked@*")
    answer_step.add_argument("--sets", default=",".join(SETS))
    answer_step.add_argument("--gpu-memory-utilization", type=float, default=0.85)
    score_step = steps.add_parser("score")
    score_step.add_argument("prompts", type=Path)
    score_step.add_argument("answers", type=Path, nargs="+")
    score_step.add_argument("--commit")
    score_step.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    names = getattr(arguments, "sets", "").split(",")
    if arguments.step != "score" and (unknown := set(names) - SETS.keys()):
        parser.error(f"there is no set {sorted(unknown)[0]!r}: {', '.join(SETS)}")
    if arguments.step == "prepare":
        drawn = [sampled(SETS[name](arguments.data.resolve()), arguments.questions) for name in names]
        prepare(_in_turn(drawn), locate(arguments.model), arguments.prompts, arguments.collections, arguments.variants)
    elif arguments.step == "answer":
        model = locate(arguments.model)
        records = [record for record in read_records(arguments.prompts) if record["group"] in names]
        share = arguments.gpu_memory_utilization
        answer(
            records, arguments.answers, lambda needed: _embedded(model, needed, share), arguments.readings.split(",")
        )
    else:
        _score(arguments)


def prepare(
    questions: Iterable[QaQuestion], model: ModelFiles, out: Path, kept: Path | None, with_variants: bool
) -> None:
    """Writes a record for each question: its prompts by reading, auto's choice and what it would escalate to."""
    source = PlannedSource(model)
    with ExitStack() as stack, out.open("w", encoding="utf-8") as file:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, question in enumerate(questions, 1):
            sys.stderr.write(f"{number}: {question.id}\n")
            with closing(_collection(question, folder)) as collection:
                record = prepared(question, Planner(collection, source), with_variants)
                file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _in_turn(sets: Sequence[Sequence[QaQuestion]]) -> list[QaQuestion]:
    """One question of each set after the other, so that what is read in part is read of every set."""
    return [question for question in chain.from_iterable(zip_longest(*sets)) if question is not None]


def _embedded(model: ModelFiles, needed_tokens: int, share: float) -> Engine:
    settings = EmbeddedSettings(needed_tokens, gpu_memory_utilization=share, prefix_cache=False)
    return EmbeddedEngine(model, settings, cache_folder() / "logs" / "qa.log", lambda stage: None)


def _score(arguments: argparse.Namespace) -> None:
    answers = [line for path in arguments.answers for line in read_records(path)]
    records = joined(read_records(arguments.prompts), answers)
    found, compared = outcomes(records), variants(records)
    context = asdict(run_context()) | ({"commit": arguments.commit} if arguments.commit else {})
    for line in [*report(found, compared), str(context)]:
        print(line)
    if arguments.json:
        content = {
            "context": context, "routes": [asdict(item) for item in summarise(found)],
            "route_accuracy": asdict(route_accuracy(found)), "variants": [asdict(item) for item in compared],
            "outcomes": [asdict(item) for item in found],
        }  # fmt: skip
        arguments.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _collection(question: QaQuestion, folder: Path) -> Collection:
    """The collection that a question is asked of, built where it is not there yet."""
    home = folder / question.collection
    collection = Collection.open_or_create(home / ".fathom", None)
    if isinstance(question.documents, str):
        (home / "document.txt").write_text(question.documents, encoding="utf-8")
        collection.add([home / "document.txt"])
    else:
        collection.add(list(question.documents))
    return collection


if __name__ == "__main__":
    main()

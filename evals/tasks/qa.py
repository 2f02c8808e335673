"""Questions with gold answers over long documents: passages, whole documents, auto and Self-Route side by side.

    python -m evals.tasks.qa prepare DATA PROMPTS --model FOLDER [--sets …] [--questions 60] [--collections FOLDER]
    python -m evals.tasks.qa answer PROMPTS ANSWERS --model FOLDER
    python -m evals.tasks.qa score ANSWERS [--json FILE]

DATA is a folder with `kgrag_sec10q`, `financebench` and `leval_subset`. `prepare` needs no GPU: it retrieves, decides
and packs for every question, for an engine of the model on a GPU with a 16-bit cache. `answer` reads the prompts with
the embedded engine, one at a time, and goes on where it was when it is called again. `score` needs the answers alone.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.base import Engine, EngineInfo, Message, Sampling, complete
from engine.embedded import EmbeddedEngine
from engine.models import ModelFiles, cache_folder, locate
from engine.preview import EmbeddedSettings, bytes_per_token, parameter_count
from engine.rope.context import plan_context, reach_tokens
from engine.tokenizer import ChatTokenizer
from evals.context import run_context
from evals.qa_scores import outcomes, read_records, route_accuracy, summarise, tables
from evals.qa_sets import SETS, QaQuestion, sampled
from indexes.collection import Collection
from pipeline import nodes
from pipeline.config import Config, ReadingSettings, RouterSettings
from pipeline.errors import BudgetError
from pipeline.prompts import answer_messages
from pipeline.reading import Reading
from pipeline.router import Requested, Route
from pipeline.state import Listener, QuestionState, Surroundings

ANSWER_TOKENS = 160
KV_TOKENS = 2_000_000  # of a 16-bit cache of a small model on an H100 or H200; the model's length binds before it


class PlannedSource:
    """An engine source that previews a GPU's engine and never starts one."""

    def __init__(self, model: ModelFiles) -> None:
        self._model = model
        self._tokenizer = ChatTokenizer(model.folder)

    def preview(self, needed_tokens: int) -> EngineInfo:
        plan = plan_context(self._model.config, min(needed_tokens, reach_tokens(self._model.config)))
        return EngineInfo(
            self._model.name, "planned", "GPU", plan.max_model_tokens, plan.native_tokens, dtype="bfloat16",
            kv_dtype="bfloat16", kv_tokens=KV_TOKENS, kv_block_tokens=16,
            kv_bytes_per_token=bytes_per_token(self._model, "bfloat16"), rope=plan.scaling,
            parameters=parameter_count(self._model),
        )  # fmt: skip

    def count_tokens(self, text: str) -> int:
        return self._tokenizer.count(text)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._tokenizer.render(messages))

    def free_kv_tokens(self) -> int | None:
        return None

    def start(self, needed_tokens: int, on_stage: Any) -> Engine:
        raise RuntimeError("a planned engine does not start")

    def close(self) -> None:
        pass


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
    answer_step = steps.add_parser("answer")
    answer_step.add_argument("prompts", type=Path)
    answer_step.add_argument("answers", type=Path)
    answer_step.add_argument("--model", required=True)
    score_step = steps.add_parser("score")
    score_step.add_argument("answers", type=Path)
    score_step.add_argument("--commit")
    score_step.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.step == "prepare":
        names = arguments.sets.split(",")
        if unknown := set(names) - SETS.keys():
            parser.error(f"there is no set {sorted(unknown)[0]!r}: {', '.join(SETS)}")
        questions = [item for name in names for item in sampled(SETS[name](arguments.data), arguments.questions)]
        prepare(questions, locate(arguments.model), arguments.prompts, arguments.collections)
    elif arguments.step == "answer":
        model = locate(arguments.model)
        answer(read_records(arguments.prompts), arguments.answers, lambda needed: _embedded(model, needed))
    else:
        _score(arguments)


def prepare(questions: Sequence[QaQuestion], model: ModelFiles, out: Path, kept: Path | None) -> None:
    """Writes a record for each question: its prompts by reading, auto's choice and what it would escalate to."""
    source = PlannedSource(model)
    with ExitStack() as stack, out.open("w", encoding="utf-8") as file:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, question in enumerate(questions, 1):
            sys.stderr.write(f"{number} of {len(questions)}: {question.id}\n")
            with closing(_collection(question, folder)) as collection:
                file.write(json.dumps(prepared(question, collection, source), ensure_ascii=False) + "\n")


def prepared(question: QaQuestion, collection: Collection, source: PlannedSource) -> dict[str, Any]:
    """One question's record; a reading that fits no budget is missing from its prompts."""
    prompts: dict[str, list[dict[str, str]]] = {}
    found: dict[str, QuestionState] = {}
    for requested in ("chunked", "native", "auto"):
        try:
            found[requested] = _planned(question.text, requested, collection, source)
        except BudgetError as error:
            sys.stderr.write(f"  {requested}: {error}\n")
    documents: dict[str, tuple[int, ...]] = {}
    for name, state in found.items():
        if name != "auto":
            prompts[name] = _messages(state["reading"], question.text)
            documents[name] = state["decision"].documents
    auto = found["auto"]
    decision, whole = auto["decision"], auto.get("whole")
    reading = escalation = None
    if decision.route is Route.NATIVE:
        reading = _named(decision.documents, documents)
        prompts.setdefault(reading, _messages(auto["reading"], question.text))
        escalation = reading
    elif whole is not None:
        escalation = _named(whole.documents, documents)
        if escalation not in prompts:
            later: QuestionState = {**auto, "decision": whole}
            packed = nodes.read(later, _surroundings("auto", collection, source))
            prompts[escalation] = _messages(packed["reading"], question.text)
    return {
        "id": question.id, "group": question.group, "question": question.text, "gold": question.gold,
        "scorer": question.scorer, "auto": str(decision.route), "auto_reading": reading, "escalation": escalation,
        "signals": asdict(decision.signals), "reasons": decision.reasons, "prompts": prompts,
        "longest_tokens": max(source.prompt_tokens(_read(prompt)) for prompt in prompts.values()),
    }  # fmt: skip


def answer(records: Sequence[Mapping[str, Any]], out: Path, start: Callable[[int], Engine]) -> None:
    """Answers all prompts that `out` has no answers of yet, one at a time, and adds a line for each question.

    `start` gets the tokens of the longest request as an upper estimate, and is called only if something is left to do.
    """
    done = {record["id"] for record in read_records(out)} if out.exists() else set()
    left = [record for record in records if record["id"] not in done]
    if not left:
        return
    with closing(start(max(record["longest_tokens"] for record in left) + ANSWER_TOKENS)) as engine:
        sys.stderr.write(f"{engine.info}\n")
        for number, record in enumerate(left, 1):
            answers = {name: _answered(engine, _read(prompt)) for name, prompt in record["prompts"].items()}
            kept = {key: value for key, value in record.items() if key != "prompts"}
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**kept, "answers": answers}, ensure_ascii=False) + "\n")
            sys.stderr.write(f"{number} of {len(left)}: {record['id']}\n")


def _embedded(model: ModelFiles, needed_tokens: int) -> Engine:
    log = cache_folder() / "logs" / "qa.log"
    return EmbeddedEngine(model, EmbeddedSettings(needed_tokens), log, lambda stage: None)


def _answered(engine: Engine, messages: Sequence[Message]) -> dict[str, Any]:
    done = complete(engine, messages, Sampling(max_tokens=ANSWER_TOKENS))
    return {
        "text": done.text,
        "finish_reason": done.finish_reason,
        **asdict(done.usage),
        "first_token_s": done.timings.first_token_s,
        "decode_s": done.timings.decode_s,
    }


def _score(arguments: argparse.Namespace) -> None:
    found = outcomes(read_records(arguments.answers))
    context = asdict(run_context()) | ({"commit": arguments.commit} if arguments.commit else {})
    for line in [*tables(found), str(context)]:
        print(line)
    if arguments.json:
        share, total = route_accuracy(found)
        routes = [asdict(item) for item in summarise(found)]
        content = {"context": context, "routes": routes, "route_accuracy": share, "differ": total}
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


def _surroundings(requested: Requested, collection: Collection, source: PlannedSource) -> Surroundings:
    config = Config(
        router=RouterSettings(route=requested, time_limit_s=0.0), reading=ReadingSettings(answer_tokens=ANSWER_TOKENS)
    )
    return Surroundings(config, collection, source, Listener(), dry_run=True)


def _planned(question: str, requested: Requested, collection: Collection, source: PlannedSource) -> QuestionState:
    around = _surroundings(requested, collection, source)
    state: QuestionState = {"question": question, "dry_run": True, "seconds": {}}
    for step in (nodes.retrieve, nodes.route, nodes.read):
        state = {**state, **step(state, around)}
    return state


def _messages(reading: Reading, question: str) -> list[dict[str, str]]:
    messages = answer_messages([passage.prompt() for passage in reading.passages], question)
    return [{"role": message.role, "content": message.content} for message in messages]


def _read(prompt: Sequence[Mapping[str, Any]]) -> list[Message]:
    return [Message(turn["role"], turn["content"]) for turn in prompt]


def _named(documents: tuple[int, ...], known: Mapping[str, tuple[int, ...]]) -> str:
    """The reading of these documents: the one that native has too, or one of its own."""
    return "native" if set(known.get("native", ())) == set(documents) else "whole"


if __name__ == "__main__":
    main()

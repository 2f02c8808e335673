"""Prompts read by an engine, one at a time; each answer is a line of a file, so that a run that was killed goes on."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from engine.base import Engine, Message, Sampling, complete
from evals.qa_prompts import ANSWER_TOKENS, Prompt, stored_prompt


def answer(
    records: Sequence[Mapping[str, Any]], out: Path, start: Callable[[int], Engine], wanted: Sequence[str] = ("*",)
) -> None:
    """Answers all prompts of the `wanted` readings (patterns, read in their order) that `out` has no answers of yet.

    Prompts for which `ask` would stretch the model by different factors are read by engines of their own: `start` gets
    the tokens of the longest request, and is called only where something is left to do. Raises ValueError for an engine
    that stretches the model by another factor.
    """
    done = {(line["id"], line["prompt"]) for line in read_records(out)} if out.exists() else set()
    left = [
        (record["id"], name, stored_prompt(prompt))
        for pattern in wanted
        for record in records
        for name, prompt in record["prompts"].items()
        if fnmatch(name, pattern)
    ]
    left = [item for item in dict.fromkeys(left) if (item[0], item[2].key) not in done]
    for factor in sorted({prompt.factor for *_, prompt in left}):
        group = [item for item in left if item[2].factor == factor]
        with closing(start(max(prompt.needed_tokens for *_, prompt in group))) as engine:
            sys.stderr.write(f"{engine.info}\n")
            if (engine.info.rope.factor if engine.info.rope else 1.0) != factor:
                raise ValueError(f"prompts were prepared for a model stretched by {factor:g}: {engine.info}")
            _warm(engine)
            for number, (id, reading, prompt) in enumerate(group, 1):
                line = {"id": id, "reading": reading, "prompt": prompt.key, **_answered(engine, prompt)}
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                sys.stderr.write(f"×{factor:g}, {number} of {len(group)}: {id}, {reading}\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON-lines file. Raises ValueError naming the line that is none."""
    found = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}:{number} is no JSON: {error}") from error
    return found


def _warm(engine: Engine) -> None:
    """The first request meets what is compiled on first use; its time is nobody's."""
    complete(engine, [Message("user", "Which colour has the sky? " * 20)], Sampling(max_tokens=8))


def _answered(engine: Engine, prompt: Prompt) -> dict[str, Any]:
    done = complete(engine, prompt.messages, Sampling(max_tokens=ANSWER_TOKENS))
    return {
        "text": done.text,
        "finish_reason": done.finish_reason,
        **asdict(done.usage),
        "first_token_s": done.timings.first_token_s,
        "decode_s": done.timings.decode_s,
        "factor": prompt.factor,
    }

"""The JSON schema of `fathom ask --json`, made from the Answer record; `python -m pipeline.qa.schema` rewrites it."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from .answer import SCHEMA_VERSION, Answer

FILE = Path(__file__).parent / "schemas" / "answer.schema.json"

# What each field means to a reader of the JSON; the records' docstrings speak to readers of the code.
DESCRIPTIONS: dict[str, dict[str, str]] = {
    "Answer": {
        "schema_version": "Version of this schema; it grows when a field changes its meaning or goes.",
        "question": "The question as it was asked.",
        "status": "answered: at least one sentence is supported by what was read. unsupported: none is. not_found: "
        "nothing was found, or the model said that the documents hold no answer. dry_run: no engine was started.",
        "text": "What the model wrote, unchanged; empty without an answer.",
        "sentences": "The sentences of the text, each once, checked against what was read.",
        "citations": "The places that support the sentences, numbered from 1 in the order of their first use.",
        "route": "How the documents were read and why; null where nothing was found.",
        "reading": "What was put before the model, in the order of the prompt.",
        "left_out": "What was found and did not fit the budget, in words.",
        "closest": "Where nothing was answered: the passages that matched best.",
        "finish_reason": "Why the model stopped: stop, length (the token limit) or repetition (a loop).",
        "prompt_tokens": "Tokens of the whole prompt.",
        "completion_tokens": "Tokens that the model wrote.",
        "cached_tokens": "Tokens of the prompt that came from the engine's prefix cache.",
        "first_try": "What passages cost before documents were read whole; null where they were not both read.",
        "engine": "The engine that answered; under dry_run what it would be.",
        "timings": "Seconds of the parts of this question.",
    },
    "AnswerSentence": {
        "text": "The sentence, the model's own markers such as [1] taken out.",
        "supported": "Whether the reading supports it, all its quotations being verbatim.",
        "citations": "Numbers of the citations that support it.",
        "quotes": "Its quotations of four words or more.",
    },
    "QuoteCheck": {
        "text": "The quotation.",
        "verbatim": "Whether it stands word for word in what was read.",
    },
    "Citation": {
        "number": "Its number in the answer.",
        "document": "The document's path below the folder that was indexed.",
        "path": "The document's absolute path.",
        "title": "The document's title.",
        "section": "The headings above the passage; empty where there are none.",
        "first_page": "The first page of the passage, counted from 1; null for a format without pages.",
        "last_page": "The last page of the passage.",
        "start": "The first character of the place, counted from 0 in the document's text.",
        "end": "The character after its last one.",
        "text": "The words that stand there, without white space around them.",
    },
    "ReadPassage": {
        "document": "The document's path below the folder that was indexed.",
        "section": "The headings above the passage; empty for a whole document.",
        "first_page": "The first page, counted from 1; null for a format without pages.",
        "last_page": "The last page.",
        "start": "The first character, counted from 0 in the document's text.",
        "end": "The character after its last one.",
    },
    "RouteDecision": {
        "route": "chunked: the best passages were read. native: whole documents were.",
        "requested": "The route that was asked for.",
        "prompt_tokens": "The budget of the whole prompt under this route.",
        "limit": "The limit that binds the prompt.",
        "documents": "Ids of the documents that are read whole.",
        "reasons": "Why this route, in words.",
        "left_out": "Documents that do not fit beside those that are read whole.",
        "signals": "What spoke for one route or the other.",
        "limits": "All limits of the prompt.",
        "readings": "The two readings that were weighed, whole documents first.",
        "escalated": "Whether passages were tried before and did not hold the answer.",
    },
    "Signals": {
        "kind": "What the question asks for, by its words.",
        "kind_probability": "How sure the classifier is of that.",
        "documents": "Documents that carry the evidence.",
        "margin": "How far the best document is ahead of the next: 0 not at all, 1 alone.",
        "strength": "The model's class by its parameters.",
    },
    "CandidateReading": {
        "route": "Which reading it is.",
        "documents": "Documents that are read whole.",
        "tokens": "Tokens of the whole prompt; for passages at most.",
        "seconds": "Predicted seconds to the first token; null where no speed was measured.",
        "kv_bytes": "Bytes of KV cache; null where the engine does not tell what a token takes.",
        "fits": "Whether the limits allow it.",
    },
    "FirstTry": {
        "prompt_tokens": "Tokens of its prompt.",
        "completion_tokens": "Tokens that were written.",
        "cached_tokens": "Tokens of its prompt that came from the prefix cache.",
        "prefill_s": "Seconds to its first token.",
        "decode_s": "Seconds from there to its last.",
    },
    "Limit": {
        "name": "What bounds the prompt.",
        "tokens": "Tokens that the prompt may have by it, the answer's share taken off.",
        "reason": "Where the number comes from, in words.",
        "hard": "Whether the engine itself sets it; a soft limit gives way to --route native.",
    },
    "EngineInfo": {
        "model": "The model's name.",
        "backend": "What runs it: vllm, remote or fake.",
        "device": "The device, or the server's address.",
        "max_model_tokens": "Tokens of prompt and answer together that one request may have.",
        "native_tokens": "The length that the model was trained for.",
        "dtype": "The type of the weights.",
        "attention": "Who computes attention: fathom, or vLLM's name of one of its own; null where it is not known.",
        "kv_dtype": "The type of the KV cache.",
        "kv_tokens": "Tokens that the KV cache holds for all requests.",
        "kv_block_tokens": "Tokens of one block of the KV cache.",
        "kv_bytes_per_token": "Bytes of the KV cache for one token.",
        "rope": "How the model's length was stretched; null where it was not.",
        "reliable_tokens": "How far the model was measured to read reliably in this state; null where nothing was.",
        "parameters": "Numbers of the model's weights; null where they are not known.",
        "exact_tokens": "Whether tokens were counted; false: estimated.",
        "start_s": "Seconds of the parts of the engine's start.",
    },
    "RopeScaling": {
        "kind": "The method.",
        "factor": "By how much the length was stretched.",
        "original_tokens": "The length before.",
        "options": "Further parameters of the method, by the names of Hugging Face configs; empty for the usual ones.",
    },
    "AnswerTimings": {
        "retrieval_s": "Searching; null, as with all of these, where it did not happen.",
        "engine_start_s": "Starting the engine.",
        "prefill_s": "From the request to its first token.",
        "decode_s": "From the first token to the last.",
        "check_s": "Matching the answer with the reading.",
        "total_s": "All of it.",
    },
}


def answer_schema() -> dict[str, Any]:
    """The schema: every field present and described, and no other. Raises KeyError for a field without description."""
    schema = TypeAdapter(Answer).json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    records = {"Answer": schema, **schema["$defs"]}
    for name, record in records.items():
        if "properties" not in record:  # an enumeration
            continue
        record["additionalProperties"] = False
        record["required"] = list(record["properties"])
        for field, content in record["properties"].items():
            content.pop("default", None)
            content["description"] = DESCRIPTIONS[name][field]
    schema["properties"]["schema_version"]["const"] = SCHEMA_VERSION
    return schema


def main() -> None:
    """Rewrites the file."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(answer_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

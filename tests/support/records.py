"""Makes the records that these tests work with: documents, hits, passages, answers, and words as tokens."""

import re
from collections.abc import Sequence

from engine.base import Completion, EngineInfo, Message, Timings, Usage
from indexes.documents import Chunk, Document, Hit
from pipeline.qa.answer import Answer, AnswerTimings, Status
from pipeline.qa.packing import Passage

_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_text(text: str) -> int:
    """Words and signs, one token each."""
    return len(_TOKEN.findall(text))


def count_prompt(messages: Sequence[Message]) -> int:
    """The same for a conversation, four tokens a message for its frame."""
    return sum(count_text(message.content) + 4 for message in messages)


def document(id: int = 1, name: str = "", text: str = "", pages: int = 0) -> Document:
    name = name or f"d{id}.md"
    return Document(id, f"/docs/{name}", name, f"Title {id}", "markdown", "0" * 64, len(text), pages)


def hit(of: Document, id: int, start: int, text: str, score: float, section: str = "", page: int | None = None) -> Hit:
    context = f"{of.title} › {section}" if section else of.title
    chunk = Chunk(id, of.id, id, start, start + len(text), text, section, context, page, page)
    return Hit(chunk, of, score, 1, None, score, None)


def passage(text: str, context: str = "", of: Document | None = None, start: int = 0) -> Passage:
    return Passage(of or document(), start, start + len(text), text, "", context, None, None, 1.0)


def completion(text: str, reason: str = "stop") -> Completion:
    return Completion(text, reason, Usage(10, len(text.split())), Timings(0.1, 0.2))


def info(
    max_model_tokens: int = 8192, native_tokens: int | None = None, kv_tokens: int | None = None, model: str = "m"
) -> EngineInfo:
    return EngineInfo(model, "fake", "none", max_model_tokens, native_tokens, kv_tokens=kv_tokens)


def answer(status: Status = Status.ANSWERED, text: str = "") -> Answer:
    """An answer without any parts."""
    return Answer(
        schema_version=1,
        question="What?",
        status=status,
        text=text,
        sentences=(),
        citations=(),
        route=None,
        reading=(),
        left_out=(),
        closest=(),
        finish_reason="stop",
        prompt_tokens=None,
        completion_tokens=None,
        cached_tokens=None,
        first_try=None,
        engine=None,
        timings=AnswerTimings(),
    )

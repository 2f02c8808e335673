"""The record that a question ends in; `fathom ask --json` prints it, `schemas/answer.schema.json` describes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.base import Completion, EngineInfo
from indexes.documents import Place

from ..errors import ExitCode
from .grounding import CheckedSentence
from .packing import Passage, Reading
from .router import RouteDecision

SCHEMA_VERSION = 1

PlaceOf = Callable[[int, int, int], Place]  # document id, start, end


class Status(StrEnum):
    """How a question ended: with support in the documents, without, or with the model's word that there is none."""

    ANSWERED = "answered"
    UNSUPPORTED = "unsupported"
    NOT_FOUND = "not_found"
    DRY_RUN = "dry_run"


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in a document: `text` is its characters `[start, end)`, on these pages, under this section."""

    number: int
    document: str
    path: str
    title: str
    section: str
    first_page: int | None
    last_page: int | None
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class QuoteCheck:
    """A quotation in the answer, and whether it stands word for word in what was read."""

    text: str
    verbatim: bool


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence of the answer with the numbers of its citations; unsupported ones have none or a false quote."""

    text: str
    supported: bool
    citations: tuple[int, ...]
    quotes: tuple[QuoteCheck, ...]


@dataclass(frozen=True, slots=True)
class ReadPassage:
    """A passage that was put before the model."""

    document: str
    section: str
    first_page: int | None
    last_page: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AnswerTimings:
    """Seconds of the parts of one question; None where a part did not happen."""

    retrieval_s: float | None = None
    engine_start_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    check_s: float | None = None
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class FirstTry:
    """The passages that did not hold the answer, before documents were read whole."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    prefill_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A question's end. `text` is what the model wrote; `sentences` are its parts, checked."""

    schema_version: int
    question: str
    status: Status
    text: str
    sentences: tuple[AnswerSentence, ...]
    citations: tuple[Citation, ...]
    route: RouteDecision | None
    reading: tuple[ReadPassage, ...]
    left_out: tuple[str, ...]
    closest: tuple[Citation, ...]
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    first_try: FirstTry | None
    engine: EngineInfo | None
    timings: AnswerTimings

    @property
    def exit_code(self) -> ExitCode:
        """0 for an answer and a dry run, 3 where the documents hold no support."""
        return ExitCode.ANSWERED if self.status in (Status.ANSWERED, Status.DRY_RUN) else ExitCode.NO_ANSWER


def cite(
    checked: Sequence[CheckedSentence], passages: Sequence[Passage], place_of: PlaceOf | None = None
) -> tuple[tuple[AnswerSentence, ...], tuple[Citation, ...]]:
    """Sentences with numbered citations, numbered in the order of their first use; `place_of` as in `citation`."""
    citations: dict[tuple[int, int, int], Citation] = {}
    sentences = []
    for sentence in checked:
        numbers = []
        for support in sentence.supports if sentence.supported else ():
            passage = passages[support.passage]
            key = (passage.document.id, support.start, support.end)
            if key not in citations:
                citations[key] = citation(
                    len(citations) + 1, passage, support.start, support.end, support.text, place_of
                )
            numbers.append(citations[key].number)
        quotes = tuple(QuoteCheck(quote.text, quote.passage is not None) for quote in sentence.quotes)
        sentences.append(AnswerSentence(sentence.text, sentence.supported, tuple(numbers), quotes))
    return tuple(sentences), tuple(citations.values())


def citation(
    number: int, passage: Passage, start: int, end: int, text: str, place_of: PlaceOf | None = None
) -> Citation:
    """A citation of a part of a passage; without `place_of` its section and pages are the whole passage's."""
    document = passage.document
    place = (
        place_of(document.id, start, end) if place_of else Place(passage.section, passage.first_page, passage.last_page)
    )
    return Citation(
        number,
        document.name,
        document.path,
        document.title,
        place.section,
        place.first_page,
        place.last_page,
        start,
        end,
        text,
    )


def read_passages(reading: Reading) -> tuple[ReadPassage, ...]:
    """The reading without its texts."""
    return tuple(
        ReadPassage(p.document.name, p.section, p.first_page, p.last_page, p.start, p.end) for p in reading.passages
    )


def judge(sentences: Sequence[AnswerSentence], completion: Completion, not_found: bool) -> Status:
    """What an answer is worth: one supported sentence makes it an answer."""
    if not_found or not completion.text.strip():
        return Status.NOT_FOUND
    return Status.ANSWERED if any(sentence.supported for sentence in sentences) else Status.UNSUPPORTED

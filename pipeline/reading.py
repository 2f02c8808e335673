"""What is put before the model: chunks or whole documents packed into a budget, in order, and what was dropped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.base import Message
from indexes.documents import Document, Heading, Hit, Page

from .prompts import PromptPassage, answer_messages, passage_block

Order = Literal["document", "best_first", "best_last", "best_at_ends"]
CountText = Callable[[str], int]
CountPrompt = Callable[[Sequence[Message]], int]
_BLOCK_TOKENS = 2  # the blank line between two passages, at most


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document that is read: characters `[start, end)` of its text, with pages where it has any."""

    document: Document
    start: int
    end: int
    text: str
    section: str
    context: str
    first_page: int | None
    last_page: int | None
    score: float

    def prompt(self) -> PromptPassage:
        """The passage as the model sees it."""
        return PromptPassage(header(self.context or self.document.title, self.first_page, self.last_page), self.text)


@dataclass(frozen=True, slots=True)
class Reading:
    """The passages in the order of the prompt, the prompt's exact tokens, and what did not fit."""

    passages: tuple[Passage, ...]
    prompt_tokens: int
    left_out: tuple[str, ...]


def header(title: str, first_page: int | None, last_page: int | None) -> str:
    """Title and pages on one line."""
    if first_page is None:
        return title
    if last_page is None or last_page == first_page:
        return f"{title}, page {first_page}"
    return f"{title}, pages {first_page}-{last_page}"


def read_chunks(
    hits: Sequence[Hit], question: str, prompt_tokens: int, count_text: CountText, count_prompt: CountPrompt
) -> Reading:
    """The best chunks that fit: the best document last, next to the question, its chunks as they stand, and
    neighbours joined. The prompt never exceeds `prompt_tokens`; a chunk that does not fit is named in `left_out`,
    and a later, shorter one may still be taken."""
    room = prompt_tokens - count_prompt(answer_messages([], question))
    taken: list[Passage] = []
    left_out: list[str] = []
    for hit in hits:
        passage = _passage(hit)
        cost = count_text(passage_block(len(taken) + 1, passage.prompt())) + _BLOCK_TOKENS
        if cost <= room:
            taken.append(passage)
            room -= cost
        else:
            left_out.append(_name(passage))
    while True:
        ordered = merge(_in_document_order(taken))
        tokens = count_prompt(answer_messages([p.prompt() for p in ordered], question))
        if tokens <= prompt_tokens or not taken:
            return Reading(tuple(ordered), tokens, tuple(left_out))
        left_out.insert(0, _name(taken.pop()))


def read_documents(
    documents: Sequence[tuple[Document, str, Sequence[Page]]],
    question: str,
    prompt_tokens: int,
    count_prompt: CountPrompt,
    order: Order = "document",
) -> Reading:
    """Whole documents, given best first, in one of the orders. The least that would exceed `prompt_tokens` stay out."""
    passages = [_whole(document, text, pages) for document, text, pages in documents]
    left_out: list[str] = []
    while True:
        ordered = in_order(passages, order)
        tokens = count_prompt(answer_messages([p.prompt() for p in ordered], question))
        if tokens <= prompt_tokens or not passages:
            return Reading(tuple(ordered), tokens, tuple(left_out))
        left_out.insert(0, passages.pop().document.name)


def in_order(passages: Sequence[Passage], order: Order) -> list[Passage]:
    """Passages given best first, in the order of a prompt: as documents stand in the collection, best first, best last,
    or best at both ends with the least in the middle (Lost in the Middle: Liu et al., 2023, arXiv 2307.03172)."""
    if order == "document":
        return sorted(passages, key=lambda passage: (passage.document.id, passage.start))
    if order == "best_first":
        return list(passages)
    if order == "best_last":
        return list(passages)[::-1]
    return [*passages[0::2], *passages[1::2][::-1]]


def merge(passages: Sequence[Passage]) -> list[Passage]:
    """Passages of one document that touch, joined into one."""
    merged: list[Passage] = []
    for passage in passages:
        last = merged[-1] if merged else None
        if last and last.document.id == passage.document.id and last.end == passage.start:
            merged[-1] = replace(
                last,
                end=passage.end,
                text=last.text + passage.text,
                last_page=passage.last_page,
                score=max(last.score, passage.score),
            )
        else:
            merged.append(passage)
    return merged


def whole_tokens(document: Document, text: str, pages: Sequence[Page], number: int, count_text: CountText) -> int:
    """Tokens of a whole document as passage `number` of a prompt, before it is chosen."""
    return count_text(passage_block(number, _whole(document, text, pages).prompt())) + _BLOCK_TOKENS


@dataclass(frozen=True, slots=True)
class Prefix:
    """The sections at the beginning of a document, up to and with the one of `title`, and their tokens."""

    title: str
    end: int
    tokens: int


def prefix_that_fits(text: str, headings: Sequence[Heading], tokens: int, count_text: CountText) -> Prefix | None:
    """The longest run of whole sections from a document's beginning that has at most `tokens`; None for none.

    What stands before the first heading belongs to it.
    """
    ends = [*(heading.start for heading in headings[1:]), len(text)] if headings else []
    low, high = 0, len(ends)
    while low < high:  # more sections never have fewer tokens
        middle = (low + high + 1) // 2
        if count_text(text[: ends[middle - 1]]) <= tokens:
            low = middle
        else:
            high = middle - 1
    return Prefix(headings[low - 1].title, ends[low - 1], count_text(text[: ends[low - 1]])) if low else None


def _in_document_order(passages: Sequence[Passage]) -> list[Passage]:
    best: dict[int, float] = {}
    for passage in passages:
        best[passage.document.id] = max(best.get(passage.document.id, passage.score), passage.score)
    return sorted(passages, key=lambda p: (best[p.document.id], p.document.id, p.start))


def _passage(hit: Hit) -> Passage:
    chunk = hit.chunk
    return Passage(
        hit.document,
        chunk.start,
        chunk.end,
        chunk.text,
        chunk.section,
        chunk.context,
        chunk.first_page,
        chunk.last_page,
        hit.score,
    )


def _whole(document: Document, text: str, pages: Sequence[Page]) -> Passage:
    first, last = (pages[0].number, pages[-1].number) if pages else (None, None)
    return Passage(document, 0, len(text), text, "", f"{document.name} › {document.title}", first, last, 0.0)


def _name(passage: Passage) -> str:
    place = passage.section or (f"page {passage.first_page}" if passage.first_page else f"character {passage.start:,}")
    return f"{passage.document.name} › {place}"

"""What is put before the model: chunks or whole documents packed into a budget, in order, and what was dropped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.base import Message
from indexes.documents import Document, Hit, Page

from .prompts import PromptPassage, answer_messages, passage_block

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
) -> Reading:
    """Whole documents, given best first and read best last, next to the question. The least that would exceed
    `prompt_tokens` stay out."""
    passages = [_whole(document, text, pages) for document, text, pages in documents]
    left_out: list[str] = []
    while True:
        ordered = passages[::-1]
        tokens = count_prompt(answer_messages([p.prompt() for p in ordered], question))
        if tokens <= prompt_tokens or not passages:
            return Reading(tuple(ordered), tokens, tuple(left_out))
        left_out.insert(0, passages.pop().document.name)


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

"""What is put before the model: chunks or whole documents packed into a budget, in order, and what was dropped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from engine.base import Message
from indexes.documents import Chunk, Document, Heading, Hit, Page

from .prompts import PromptPassage, answer_messages, passage_block

Order = Literal["document", "best_first", "best_last", "best_at_ends"]
CountText = Callable[[str], int]
CountPrompt = Callable[[Sequence[Message]], int]
SectionOf: TypeAlias = Callable[["Passage"], "Passage | None"]
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
    """The passages in the order of the prompt, the prompt itself with its exact tokens, and what did not fit."""

    passages: tuple[Passage, ...]
    messages: tuple[Message, ...]
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
    hits: Sequence[Hit],
    question: str,
    prompt_tokens: int,
    count_text: CountText,
    count_prompt: CountPrompt,
    section_of: SectionOf | None = None,
) -> Reading:
    """The best chunks that fit: the best document last, next to the question, its chunks as they stand, and
    neighbours joined. The prompt never exceeds `prompt_tokens`; a chunk that does not fit is named in `left_out`,
    and a later, shorter one may still be taken. Of chunks with the same words the best is read and the others are
    named. With `section_of`, what room is left widens chunks to their sections, the best first."""
    room = prompt_tokens - count_prompt(answer_messages([], question))

    def cost(passage: Passage, number: int) -> int:
        return count_text(passage_block(number, passage.prompt())) + _BLOCK_TOKENS

    taken: list[Passage] = []
    left_out: list[tuple[Passage, str]] = []
    read: dict[str, Passage] = {}
    for hit in hits:
        passage = _passage(hit)
        words = " ".join(passage.text.split())
        if words in read:
            left_out.append((passage, f"{_name(passage)}: the words of {_name(read[words])}"))
        elif (needed := cost(passage, len(taken) + 1)) <= room:
            taken.append(passage)
            room -= needed
            read[words] = passage
        else:
            left_out.append((passage, _name(passage)))

    def packed(chosen: Sequence[Passage]) -> Reading:
        ordered = merge(_in_document_order(chosen))
        messages = answer_messages([p.prompt() for p in ordered], question)
        missing = tuple(name for passage, name in left_out if not any(_within(passage, p) for p in ordered))
        return Reading(tuple(ordered), tuple(messages), count_prompt(messages), missing)

    if section_of and taken:
        wide = packed(_widened(taken, room, section_of, lambda passage: cost(passage, len(taken))))
        if wide.prompt_tokens <= prompt_tokens:
            return wide
    while True:
        reading = packed(taken)
        if reading.prompt_tokens <= prompt_tokens or not taken:
            return reading
        left_out.insert(0, (taken[-1], _name(taken.pop())))


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
        messages = answer_messages([p.prompt() for p in ordered], question)
        tokens = count_prompt(messages)
        if tokens <= prompt_tokens or not passages:
            return Reading(tuple(ordered), tuple(messages), tokens, tuple(left_out))
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


def _widened(
    taken: Sequence[Passage], room: int, section_of: SectionOf, cost: Callable[[Passage], int]
) -> list[Passage]:
    """The passages, those that `room` tokens more allow as whole sections, which take in other passages of theirs."""
    found = list(taken)
    for passage in taken:
        section = section_of(passage)
        inside = [p for p in found if section and _within(p, section)]
        if section is None or passage not in inside or inside == [section]:
            continue
        more = cost(section) - sum(cost(p) for p in inside)
        if more > room:
            continue
        room -= more
        first = found.index(inside[0])
        found[first] = replace(section, score=max(p.score for p in inside))
        found = [p for p in found if p is found[first] or p not in inside]
    return found


def _within(passage: Passage, other: Passage) -> bool:
    same = passage.document.id == other.document.id
    return same and other.start <= passage.start and passage.end <= other.end


def section_passage(passage: Passage, chunks: Sequence[Chunk]) -> Passage | None:
    """A passage widened to its section, whose chunks are given in order; None for none."""
    if not chunks:
        return None
    return replace(
        passage,
        start=chunks[0].start,
        end=chunks[-1].end,
        text="".join(chunk.text for chunk in chunks),
        first_page=chunks[0].first_page,
        last_page=chunks[-1].last_page,
    )


@dataclass(frozen=True, slots=True)
class Prefix:
    """The sections at the beginning of a document, up to and with the one of `title`, and their tokens."""

    title: str
    end: int
    tokens: int


def prefix_that_fits(text: str, headings: Sequence[Heading], tokens: int, count_text: CountText) -> Prefix | None:
    """The longest run of whole sections from a document's beginning that has at most `tokens`; None for none.

    What stands before the first heading belongs to it. Sections are counted one by one and no further than they fit,
    because documents are long and prompts short; the run is counted once more as a whole.
    """
    ends = [*(heading.start for heading in headings[1:]), len(text)] if headings else []
    used = fitting = start = 0
    for end in ends:
        used += count_text(text[start:end])
        if used > tokens:
            break
        fitting, start = fitting + 1, end
    while fitting:
        end = ends[fitting - 1]
        if (exact := count_text(text[:end])) <= tokens:
            return Prefix(headings[fitting - 1].title, end, exact)
        fitting -= 1
    return None


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

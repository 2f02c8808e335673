"""Records → what a person reads."""

import textwrap
from collections.abc import Iterator

from engine.base import EngineInfo
from indexes.collection import CollectionStats
from indexes.documents import FileRecord, FileState, IndexReport
from indexes.files.bounds import HIDDEN, OUTSIDE
from indexes.loaders.hidden.reasons import KEPT_APART
from indexes.search.hidden import HiddenHit
from indexes.search.ranking import SearchResult

from ..qa.answer import Answer, Citation, Status
from ..qa.packing import header
from ..qa.router import Route, RouteDecision

_SNIPPET = 240
_SKIPPED = 3  # a folder may hold thousands of pictures


def answer_lines(answer: Answer) -> Iterator[str]:
    """The answer with citation numbers, its citations, and what a reader must know of its support."""
    if answer.status is Status.NOT_FOUND:
        yield "The documents do not answer this question."
    elif answer.status is Status.UNSUPPORTED:
        yield "No supported answer: the model's words were not found in what it read."
        yield f"It wrote: {_short(answer.text)}"
    if answer.status is Status.ANSWERED:
        yield from _sentences(answer)
    if answer.citations:
        yield ""
    for citation in answer.citations:
        yield f"[{citation.number}] {place(citation)}"
        yield f'    "{_short(citation.text)}"'
    if answer.closest:
        yield ""
        yield "The closest passages:"
        for citation in answer.closest:
            yield f"  - {place(citation)}"
            yield f'    "{_short(citation.text)}"'


def _sentences(answer: Answer) -> Iterator[str]:
    parts = []
    for sentence in answer.sentences:
        marks = "".join(f"[{number}]" for number in sentence.citations)
        doubt = "" if sentence.supported else " [no support found]"
        false = [quote.text for quote in sentence.quotes if not quote.verbatim]
        doubt += f" [not verbatim: “{_short(false[0], 60)}”]" if false else ""
        parts.append(f"{sentence.text}{' ' + marks if marks else ''}{doubt}")
    yield textwrap.fill(" ".join(parts), 100, break_long_words=False, break_on_hyphens=False)
    if answer.finish_reason == "length":
        yield "(cut at the token limit; raise [reading] answer_tokens)"
    if answer.finish_reason == "repetition":
        yield "(the model began to repeat itself and was stopped)"


def place(citation: Citation) -> str:
    """Document, section and pages on one line."""
    where = header("", citation.first_page, citation.last_page).removeprefix(", ")
    return " › ".join(part for part in (citation.document, citation.section, where) if part)


def route_line(answer: Answer) -> str:
    """The route and its first reason on one line."""
    if answer.route is None:
        return "route: none, nothing was found"
    return f"route: {answer.route.route.value}, because {answer.route.reasons[0]}"


def explanation(answer: Answer) -> Iterator[str]:
    """The decision with all reasons, what was read and left out, the engine, and where the time went."""
    yield route_line(answer)
    if answer.route:
        yield from (f"  and {reason}" for reason in answer.route.reasons[1:])
        yield from _weighed(answer.route)
    if answer.first_try:
        tried = answer.first_try
        yield f"first: passages, {tried.prompt_tokens:,} tokens, {tried.prefill_s + tried.decode_s:.1f} s, no answer"
    if answer.prompt_tokens is not None:
        yield f"read: {answer.prompt_tokens:,} tokens from {len(answer.reading)} passages"
    for item in answer.reading:
        where = header(item.section or f"characters {item.start:,}-{item.end:,}", item.first_page, item.last_page)
        yield f"  + {item.document} › {where}"
    if answer.left_out:
        yield f"left out: {len(answer.left_out)}, the budget being full"
        yield from (f"  - {item}" for item in answer.left_out[:5])
        if len(answer.left_out) > 5:
            yield f"  - and {len(answer.left_out) - 5} more"
    if answer.engine:
        yield f"engine: {engine_line(answer.engine)}"
    times = answer.timings
    parts = {
        "retrieval": times.retrieval_s,
        "engine start": times.engine_start_s,
        "prefill": times.prefill_s,
        "decode": times.decode_s,
        "check": times.check_s,
        "total": times.total_s,
    }
    yield "time: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items() if seconds is not None)


def _weighed(route: RouteDecision) -> Iterator[str]:
    """Signals, limits and both readings of a decision."""
    seen = route.signals
    yield (
        f"  signals: {seen.kind} question ({seen.kind_probability:.0%}), {seen.documents} documents with evidence, "
        f"the best {seen.margin:.0%} ahead, {seen.strength} model"
    )
    for limit in route.limits or (route.limit,):
        binds = ", binds" if limit == route.limit and limit.tokens == route.prompt_tokens else ""
        yield f"  limit: {limit.name}, {limit.tokens:,} tokens{'' if limit.hard else ' (soft)'}{binds}: {limit.reason}"
    for reading in route.readings:
        what = f"{reading.documents} whole" if reading.route is Route.NATIVE else "passages, at most"
        cost = "" if reading.seconds is None else f", about {reading.seconds:.1f} s"
        cost += "" if reading.kv_bytes is None else f", {reading.kv_bytes / 2**20:,.0f} MiB of KV cache"
        chosen = "*" if reading.route is route.route else " "
        yield f" {chosen}{reading.route}: {what} {reading.tokens:,} tokens{cost}{'' if reading.fits else ', too many'}"
    yield f"  budget: {route.prompt_tokens:,} prompt tokens"


def engine_line(info: EngineInfo) -> str:
    """What the engine is, on one line."""
    parts = [f"{info.model} on {info.backend} ({info.device})", f"{info.max_model_tokens:,} tokens a request"]
    if info.rope:
        parts.append(f"{info.rope.kind} ×{info.rope.factor:g}")
    if info.kv_tokens is not None:
        parts.append(f"KV cache {info.kv_tokens:,} tokens" + (f" in {info.kv_dtype}" if info.kv_dtype else ""))
    if info.kv_block_tokens is not None and info.kv_bytes_per_token is not None:
        parts.append(f"pages of {info.kv_block_tokens} tokens, {info.kv_bytes_per_token:,} bytes a token")
    if info.attention:
        parts.append(f"attention by {info.attention}")
    if not info.exact_tokens:
        parts.append("token counts are estimates")
    return ", ".join(parts)


def search_lines(result: SearchResult) -> Iterator[str]:
    """Hits with their place, scores and text."""
    for number, hit in enumerate(result.hits, 1):
        where = header(hit.chunk.section or hit.document.title, hit.chunk.first_page, hit.chunk.last_page)
        ranks = [f"{name} {rank}" for name, rank in (("words", hit.lexical_rank), ("meaning", hit.dense_rank)) if rank]
        judged = f"; reranker {hit.reranker_score:.2f}" if hit.reranker_score is not None else ""
        yield f"{number:>2}. {hit.document.name} › {where}  ({hit.score:.3f}; rank by {', '.join(ranks)}{judged})"
        yield f"    {_short(hit.chunk.text)}"
    if not result.hits:
        yield "Nothing found."


def hidden_lines(hits: list[HiddenHit]) -> Iterator[str]:
    """Hidden text with its place and why its reader does not see it."""
    for number, hit in enumerate(hits, 1):
        where = header("", hit.hidden.page, None).removeprefix(", ")
        place = " › ".join(part for part in (hit.document.name, where) if part)
        yield f"{number:>2}. {place}  ({hit.hidden.reason}; {hit.score:.3f})"
        yield f"    {_short(hit.hidden.text)}"
    if not hits:
        yield "Nothing hidden found."


def index_lines(report: IndexReport, collection: str) -> Iterator[str]:
    """What a run did, counts first, then every file that failed with its reason, and some that were skipped: links
    that leave the given folders before others."""
    counts = {
        "new": len(report.added),
        "changed": len(report.updated),
        "unchanged": len(report.unchanged),
        "removed": len(report.removed),
        "failed": len(report.failed),
        "skipped": len(report.skipped),
    }
    summary = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    yield f"{summary or 'no files'}; {report.chunks:,} chunks in {collection}, {report.seconds:.1f} s"
    for name, reason in sorted(report.failed.items()):
        yield f"  failed: {name} {reason}"
    skipped = sorted(report.skipped.items(), key=lambda item: (item[1] not in (OUTSIDE, HIDDEN), item))
    yield from (f"  skipped: {name} {reason}" for name, reason in skipped[:_SKIPPED])
    if len(skipped) > _SKIPPED:
        yield f"  and {len(skipped) - _SKIPPED} more skipped; see: fathom status"
    for name, remarks in sorted(report.notes.items()):
        yield from (f"  note: {name} {remark}" for remark in remarks)
    if any(remark.endswith(KEPT_APART) for remarks in report.notes.values() for remark in remarks):
        yield '  what is kept apart is found by: fathom search "…" --hidden'
    if not report.limited:
        yield "  note: this system does not limit the memory of the processes that read files"
    if not report.confined:
        yield f"  note: the processes that read files are not confined here: {report.confinement}"
    if report.failed:
        yield "  failed files are left alone until they change; to try them again: fathom index --retry-failed"


def status_lines(
    stats: CollectionStats, files: list[FileRecord], notes: dict[str, list[str]], failed_only: bool, all_files: bool
) -> Iterator[str]:
    """What the collection holds, what is wanting of its documents, and the files that are not in it."""
    if not failed_only:
        yield f"collection {stats.folder}"
        yield f"  {stats.documents:,} documents, {stats.chunks:,} chunks, {stats.characters:,} characters"
        yield f"  embedding: {stats.embedding}"
        yield "  files: " + ", ".join(f"{count} {state}" for state, count in stats.files.items())
        for record in files:
            yield from (f"  note: {record.name} {remark}" for remark in notes.get(record.path, []))
    for record in files:
        if record.state is FileState.FAILED or (record.state is FileState.SKIPPED and not failed_only):
            yield f"  {record.state.value}: {record.name} {record.reason}"
        elif all_files and not failed_only:
            yield f"  {record.state.value}: {record.name}"


def _short(text: str, length: int = _SNIPPET) -> str:
    return textwrap.shorten(" ".join(text.split()), length, placeholder=" …")

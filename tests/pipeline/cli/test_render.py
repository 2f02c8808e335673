"""What a person reads of each record."""

from dataclasses import replace

import pytest

from engine.base import EngineInfo
from engine.rope.scaling import RopeScaling
from indexes.collection import CollectionStats
from indexes.documents import FileRecord, FileState, IndexReport
from indexes.files.bounds import OUTSIDE
from indexes.search.ranking import SearchMode, SearchResult
from pipeline.cli import render as report
from pipeline.qa.answer import (
    Answer,
    AnswerSentence,
    AnswerTimings,
    Citation,
    FirstTry,
    QuoteCheck,
    ReadPassage,
    Status,
)
from pipeline.qa.budget import Limit, LimitName
from pipeline.qa.evidence import ModelStrength, Signals
from pipeline.qa.question_kind import QuestionKind
from pipeline.qa.router import CandidateReading, Route, RouteDecision
from tests.support.records import answer, document, hit

CITATION = Citation(1, "memo.pdf", "/docs/memo.pdf", "Memo", "Fees", 2, 3, 10, 20, "The fee\n is  2 percent.")
SENTENCE = AnswerSentence("The fee is 2 percent.", True, (1,), ())
ANSWERED = replace(answer(text="The fee is 2 percent."), sentences=(SENTENCE,), citations=(CITATION,))
CACHE = Limit(LimitName.KV_CACHE, 1234, "the cache", True)
DECISION = RouteDecision(
    Route.CHUNKED, "auto", 1234, CACHE, (), ("too long", "and late"), (),
    Signals(QuestionKind.COMPARISON, 0.8, 2, 0.25, ModelStrength.SMALL),
    (CACHE, Limit(LimitName.RELIABLE_LENGTH, 9000, "a guess", False)),
    (
        CandidateReading(Route.NATIVE, 2, 5000, 3.5, 48 * 2**20, False),
        CandidateReading(Route.CHUNKED, 0, 1234, None, None, True),
    ),
)  # fmt: skip


def _lines(record: Answer) -> list[str]:
    return list(report.answer_lines(record))


def test_an_answer_shows_its_sentences_marks_and_places() -> None:
    assert _lines(ANSWERED) == [
        "The fee is 2 percent. [1]",
        "",
        "[1] memo.pdf › Fees › pages 2-3",
        '    "The fee is 2 percent."',
    ]


def test_what_is_not_supported_is_said_beside_it() -> None:
    doubtful = AnswerSentence("It never falls.", False, (), ())
    false = AnswerSentence("It says “so it was and is”.", False, (), (QuoteCheck("so it was and is", False),))
    text = " ".join(_lines(replace(ANSWERED, sentences=(SENTENCE, doubtful, false))))
    assert "It never falls. [no support found]" in text
    assert "[not verbatim: “so it was and is”]" in text


@pytest.mark.parametrize(("reason", "says"), [("length", "token limit"), ("repetition", "repeat itself")])
def test_an_answer_that_was_stopped_says_so(reason: str, says: str) -> None:
    assert says in _lines(replace(ANSWERED, finish_reason=reason))[1]


def test_without_an_answer_the_closest_passages_are_shown() -> None:
    unsupported = replace(answer(Status.UNSUPPORTED, "Guess \n " * 100), closest=(CITATION,))
    lines = _lines(unsupported)
    assert lines[0].startswith("No supported answer")
    assert lines[1].startswith("It wrote: Guess Guess")
    assert lines[1].endswith(" …")
    assert len(lines[1]) < 300
    assert "  - memo.pdf › Fees › pages 2-3" in lines
    assert _lines(answer(Status.NOT_FOUND)) == ["The documents do not answer this question."]


def test_a_place_leaves_out_what_is_unknown() -> None:
    assert report.place(CITATION) == "memo.pdf › Fees › pages 2-3"
    assert report.place(replace(CITATION, section="", first_page=None, last_page=None)) == "memo.pdf"


def test_an_explanation_tells_route_reading_and_what_was_left_out() -> None:
    read = ReadPassage("memo.pdf", "", None, None, 1000, 2000)
    full = replace(
        ANSWERED,
        route=DECISION,
        reading=(read, replace(read, section="Fees", first_page=2, last_page=2)),
        left_out=tuple(f"d{i}.md › §" for i in range(7)),
        prompt_tokens=1200,
        first_try=FirstTry(900, 4, 0, 1.0, 0.5),
        engine=EngineInfo("m", "fake", "none", 8192),
        timings=AnswerTimings(retrieval_s=0.25, total_s=1.0),
    )
    lines = list(report.explanation(full))
    assert lines == [
        "route: chunked, because too long",
        "  and and late",
        "  signals: comparison question (80%), 2 documents with evidence, the best 25% ahead, small model",
        "  limit: KV cache, 1,234 tokens, binds: the cache",
        "  limit: reliable length, 9,000 tokens (soft): a guess",
        "  native: 2 whole 5,000 tokens, about 3.5 s, 48 MiB of KV cache, too many",
        " *chunked: passages, at most 1,234 tokens",
        "  budget: 1,234 prompt tokens",
        "first: passages, 900 tokens, 1.5 s, no answer",
        "read: 1,200 tokens from 2 passages",
        "  + memo.pdf › characters 1,000-2,000",
        "  + memo.pdf › Fees, page 2",
        "left out: 7, the budget being full",
        *(f"  - d{i}.md › §" for i in range(5)),
        "  - and 2 more",
        "engine: m on fake (none), 8,192 tokens a request",
        "time: retrieval 0.2 s, total 1.0 s",
    ]


def test_an_explanation_of_nothing_says_nothing_more() -> None:
    assert next(report.explanation(answer(Status.NOT_FOUND))) == "route: none, nothing was found"


def test_an_engine_tells_what_it_knows() -> None:
    full = EngineInfo(
        "m", "vllm", "cpu", 32768, 8192, kv_dtype="fp8", kv_tokens=65536, rope=RopeScaling("yarn", 4.0, 8192)
    )
    line = "m on vllm (cpu), 32,768 tokens a request, yarn ×4, KV cache 65,536 tokens in fp8"
    assert report.engine_line(full) == line
    ours = replace(full, attention="fathom", kv_block_tokens=128, kv_bytes_per_token=11_610)
    assert report.engine_line(ours) == f"{line}, pages of 128 tokens, 11,610 bytes a token, attention by fathom"
    assert report.engine_line(replace(full, exact_tokens=False)) == line + ", token counts are estimates"


def test_hits_show_place_score_and_ranks() -> None:
    of = document(name="memo.md")
    both = replace(hit(of, 1, 0, "alpha\n\nbeta", 0.5, "Fees", 2), dense_rank=3)
    result = SearchResult("q", SearchMode.HYBRID, (both, hit(of, 2, 9, "x " * 500, 0.25)), ())
    first, text, second, long = report.search_lines(result)
    assert first == " 1. memo.md › Fees, page 2  (0.500; rank by words 1, meaning 3)"
    assert text == "    alpha beta"
    assert second == " 2. memo.md › Title 1  (0.250; rank by words 1)"
    assert len(long) < 250
    assert long.endswith(" …")
    judged = SearchResult("q", SearchMode.HYBRID, (replace(both, reranker_score=-1.234),), ())
    assert next(report.search_lines(judged)).endswith("(0.500; rank by words 1, meaning 3; reranker -1.23)")
    assert list(report.search_lines(SearchResult("q", SearchMode.LEXICAL, (), ()))) == ["Nothing found."]


def test_an_index_run_names_counts_failures_and_some_of_what_was_skipped() -> None:
    run = IndexReport(
        added=["a.md", "b.md"],
        failed={"z.pdf": "is empty", "c.pdf": "is truncated"},
        skipped={f"{i}.png": "not a kind" for i in range(5)},
        notes={"a.pdf": ["page 3 has no text"]},
        chunks=1200,
        seconds=1.25,
    )
    assert list(report.index_lines(run, "/x/.fathom")) == [
        "2 new, 2 failed, 5 skipped; 1,200 chunks in /x/.fathom, 1.2 s",
        "  failed: c.pdf is truncated",
        "  failed: z.pdf is empty",
        *(f"  skipped: {i}.png not a kind" for i in range(3)),
        "  and 2 more skipped; see: fathom status",
        "  note: a.pdf page 3 has no text",
        "  failed files are left alone until they change; to try them again: fathom index --retry-failed",
    ]
    reason = "Landlock cannot be used: Function not implemented"
    bare = IndexReport(skipped={f"{i}.png": "a" for i in range(9)} | {"z": OUTSIDE}, confined=False, confinement=reason)
    lines = list(report.index_lines(bare, "x"))
    assert lines[1] == f"  skipped: z {OUTSIDE}"
    assert lines[-1] == f"  note: the processes that read files are not confined here: {reason}"
    assert next(report.index_lines(IndexReport(), "x")).startswith("no files; 0 chunks")


def test_a_status_names_every_file_that_is_not_in_the_collection() -> None:
    stats = CollectionStats("/x/.fathom", "none", 3, 2, 10, 12345, {"indexed": 2, "failed": 1, "skipped": 1})
    files = [
        FileRecord("a", "a.md", FileState.INDEXED, "", "", 1, 1),
        FileRecord("b", "b.pdf", FileState.FAILED, "is empty", "", 0, None),
        FileRecord("c", "c.png", FileState.SKIPPED, "no kind", "", 0, None),
    ]
    lines = list(report.status_lines(stats, files, {"a": ["page 3 has no text"]}, failed_only=False, all_files=False))
    assert lines[1] == "  2 documents, 10 chunks, 12,345 characters"
    assert lines[-3:] == ["  note: a.md page 3 has no text", "  failed: b.pdf is empty", "  skipped: c.png no kind"]
    assert list(report.status_lines(stats, files, {}, failed_only=True, all_files=True)) == ["  failed: b.pdf is empty"]
    everything = list(report.status_lines(stats, files, {}, failed_only=False, all_files=True))
    assert everything[-3:] == ["  indexed: a.md", "  failed: b.pdf is empty", "  skipped: c.png no kind"]

"""The record of an answer: numbers of citations, what a status needs, exit codes."""

import pytest

from pipeline.errors import ExitCode
from pipeline.qa.answer import AnswerSentence, Status, cite, judge, read_passages
from pipeline.qa.grounding import CheckedSentence, Quote, Support
from pipeline.qa.packing import Reading
from tests.support.records import answer, completion, document, passage

FIRST = passage("alpha beta. gamma delta.", of=document(1))
SECOND = passage("epsilon zeta.", of=document(2), start=500)


def _support(number: int, start: int, end: int) -> Support:
    return Support(number, start, end, "…", 1.0, None)


def _sentence(text: str, *supports: Support, quotes: tuple[Quote, ...] = (), adds: bool = True) -> CheckedSentence:
    return CheckedSentence(text, supports, quotes, adds)


def test_citations_are_numbered_by_first_use_and_shared() -> None:
    a, b, c = _support(1, 500, 513), _support(0, 0, 11), _support(0, 12, 24)
    sentences, citations = cite([_sentence("X.", a, b), _sentence("Y.", b, c)], [FIRST, SECOND])
    assert [sentence.citations for sentence in sentences] == [(1, 2), (2, 3)]
    assert [(item.number, item.document, item.start, item.end) for item in citations] == [
        (1, "d2.md", 500, 513),
        (2, "d1.md", 0, 11),
        (3, "d1.md", 12, 24),
    ]


def test_an_unsupported_sentence_cites_nothing() -> None:
    place = _support(0, 0, 11)
    false_quote = _sentence("X.", place, quotes=(Quote("never said so anywhere", None),))
    sentences, citations = cite([false_quote, _sentence("Echo.", place, adds=False), _sentence("Z.")], [FIRST])
    assert [(sentence.supported, sentence.citations) for sentence in sentences] == [(False, ())] * 3
    assert citations == ()
    assert [quote.verbatim for quote in sentences[0].quotes] == [False]


def test_a_citation_carries_what_a_reader_needs_to_find_the_place() -> None:
    _, (citation,) = cite([_sentence("X.", _support(1, 500, 513))], [FIRST, SECOND])
    assert (citation.path, citation.title, citation.first_page) == ("/docs/d2.md", "Title 2", None)


YES, NO = AnswerSentence("a", True, (1,), ()), AnswerSentence("b", False, (), ())


@pytest.mark.parametrize(
    ("sentences", "text", "not_found", "expected"),
    [
        ((YES,), "a", False, Status.ANSWERED),
        ((NO, YES), "b a", False, Status.ANSWERED),
        ((NO,), "b", False, Status.UNSUPPORTED),
        ((), "…", False, Status.UNSUPPORTED),
        ((), "  \n", False, Status.NOT_FOUND),
        ((), "", False, Status.NOT_FOUND),
        ((YES,), "a", True, Status.NOT_FOUND),
    ],
)
def test_one_supported_sentence_makes_an_answer(
    sentences: tuple[AnswerSentence, ...], text: str, not_found: bool, expected: Status
) -> None:
    assert judge(sentences, completion(text), not_found) is expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.ANSWERED, ExitCode.ANSWERED),
        (Status.DRY_RUN, ExitCode.ANSWERED),
        (Status.UNSUPPORTED, ExitCode.NO_ANSWER),
        (Status.NOT_FOUND, ExitCode.NO_ANSWER),
    ],
)
def test_only_an_answer_and_a_dry_run_succeed(status: Status, code: ExitCode) -> None:
    assert answer(status).exit_code is code


def test_the_record_of_a_reading_keeps_places_and_order() -> None:
    read = read_passages(Reading((SECOND, FIRST), (), 10, ()))
    assert [(item.document, item.start, item.end) for item in read] == [("d2.md", 500, 513), ("d1.md", 0, 24)]

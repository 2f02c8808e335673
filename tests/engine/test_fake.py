"""The fake engine keeps the contract of engines, with tokens that can be counted by hand."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base import Message, Sampling, complete
from engine.errors import ContextError
from engine.fake import FakeEngine, quote_best_sentence

QUESTION = [Message("user", "The cells come from Oslo. The cabinet burned.\n\nWhich cabinet burned down?")]


def _echo(messages: Sequence[Message]) -> str:
    return messages[-1].content


def test_it_quotes_the_sentence_with_most_words_of_the_last_line() -> None:
    # "cabinet" and "burned" are in the second sentence, none of the question's words in the first
    assert complete(FakeEngine(), QUESTION, Sampling()).text == "The cabinet burned."


def test_the_first_of_equal_sentences_is_quoted() -> None:
    assert (
        quote_best_sentence([Message("user", "One cabinet. Two cabinets. A cabinet.\nWhich cabinet?")])
        == "One cabinet."
    )


@pytest.mark.parametrize("content", ["", "  \n ", "only a question?"])
def test_without_a_body_the_answer_is_empty(content: str) -> None:
    done = complete(FakeEngine(), [Message("user", content)], Sampling())
    assert (done.text, done.finish_reason, done.usage.completion_tokens) == ("", "stop", 0)


@given(st.text())
def test_any_message_gets_the_same_answer_twice(content: str) -> None:
    messages = [Message("user", content)]
    assert complete(FakeEngine(), messages, Sampling()) == complete(FakeEngine(), messages, Sampling())


@given(st.text(), st.integers(1, 12))
def test_pieces_concatenate_to_the_text_and_tokens_are_counted(text: str, most: int) -> None:
    engine = FakeEngine(_echo, max_model_tokens=10**6)
    messages = [Message("user", text)]
    deltas = list(engine.stream(messages, Sampling(max_tokens=most)))
    (done,) = [delta.completion for delta in deltas if delta.completion]
    assert deltas[-1].completion is done
    assert "".join(delta.text for delta in deltas) == done.text
    assert text.startswith(done.text)
    assert done.usage.prompt_tokens == engine.prompt_tokens(messages)
    assert done.usage.completion_tokens == engine.count_tokens(done.text) == min(most, engine.count_tokens(text))
    assert done.finish_reason == ("length" if engine.count_tokens(text) > most else "stop")


def test_tokens_by_hand() -> None:
    engine = FakeEngine()
    assert engine.count_tokens("Yes, sir: 3.5 kWh") == 8  # Yes , sir : 3 . 5 kWh
    assert engine.prompt_tokens([Message("system", "a b"), Message("user", "c")]) == (2 + 4) + (1 + 4) + 2


def test_a_stop_string_ends_the_text_and_is_no_part_of_it() -> None:
    engine = FakeEngine(lambda _: "Oslo. Bergen. END Narvik.")
    done = complete(engine, QUESTION, Sampling(stop=("END", " Bergen", "Paris")))
    assert (done.text, done.finish_reason) == ("Oslo.", "stop")


def test_too_long_a_request_is_refused_before_any_work() -> None:
    engine = FakeEngine(max_model_tokens=30)
    prompt = engine.prompt_tokens(QUESTION)
    complete(engine, QUESTION, Sampling(max_tokens=30 - prompt))
    with pytest.raises(
        ContextError, match=f"the prompt of {prompt} tokens and {31 - prompt} for the answer exceed the 30"
    ):
        engine.stream(QUESTION, Sampling(max_tokens=31 - prompt))
    assert engine.prompts == [tuple(QUESTION)]


def test_it_says_what_it_was_made_to_be() -> None:
    info = FakeEngine(max_model_tokens=32768, kv_tokens=None, native_tokens=8192).info
    assert (info.max_model_tokens, info.kv_tokens, info.native_tokens) == (32768, None, 8192)
    assert FakeEngine(max_model_tokens=100).info.native_tokens == 100
    assert info.exact_tokens


def test_closing_is_quiet() -> None:
    FakeEngine().close()

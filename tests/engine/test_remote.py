"""A remote engine against a real HTTP server: what it asks, and what it understands of the answers."""

import itertools
from contextlib import closing
from typing import Any

import pytest

from engine.base import Message, Sampling, complete
from engine.errors import ContextError
from engine.remote import API_KEY, DEFAULT_MODEL_TOKENS, RemoteEngine
from tests.support.server import METRICS, QUESTION, Connect, Reply, as_json, events, openai, piece, vllm

# What it serves


def test_a_vllm_server_tells_its_model_its_length_and_its_cache(connect: Connect) -> None:
    server, engine = connect(vllm())
    info = engine.info
    assert (info.model, info.backend, info.device, info.max_model_tokens) == ("tiny", "remote", server.url, 1000)
    assert info.kv_tokens == 2048 * 16
    assert info.exact_tokens
    assert info.native_tokens is None
    assert list(info.start_s) == ["connect"]


def test_another_server_s_cache_is_unknown_and_its_tokens_are_estimates(connect: Connect) -> None:
    _, engine = connect(openai())
    assert (engine.info.kv_tokens, engine.info.exact_tokens) == (None, False)


@pytest.mark.parametrize("length", [None, 0, -5, "long", {}])
def test_a_server_that_does_not_tell_its_length_has_the_default(connect: Connect, length: object) -> None:
    card = {"id": "tiny", "max_model_len": length}
    _, engine = connect(openai(models=lambda _: as_json({"data": [card]})))
    assert engine.info.max_model_tokens == DEFAULT_MODEL_TOKENS


@pytest.mark.parametrize(
    "metrics",
    [
        b"",
        b"\xff\xfe",
        b'vllm:cache_config_info{block_size="16",num_gpu_blocks="None"} 1.0',
        b'vllm:cache_config_info{block_size="16"} 1.0',
        b'# vllm:cache_config_info{block_size="16",num_gpu_blocks="2048"} 1.0',
    ],
)
def test_metrics_without_the_cache_leave_it_unknown(connect: Connect, metrics: bytes) -> None:
    _, engine = connect(vllm(metrics=lambda _: Reply(metrics)))
    assert engine.info.kv_tokens is None


@pytest.mark.parametrize(
    ("usage", "free"),
    [
        (b'vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25', 24_576),
        (b"vllm:kv_cache_usage_perc 0.0", 32_768),
        (b'vllm:kv_cache_usage_perc{engine="0"} 0.25\nvllm:kv_cache_usage_perc{engine="1"} 0.5', 16_384),
        (b'vllm:kv_cache_usage_perc{engine="0"} 1.5', 0),
        (b'vllm:kv_cache_usage_perc{engine="0"} 2.5e-1', 24_576),
        (b'vllm:kv_cache_usage_perc{engine="0"} e+-', None),
        (b'vllm:kv_cache_usage_perc{engine="0"} NaN', None),
        (b"# vllm:kv_cache_usage_perc 0.5", None),
        (b"", None),
    ],
)
def test_free_tokens_are_what_running_requests_leave(connect: Connect, usage: bytes, free: int | None) -> None:
    text = METRICS.encode() + b"\n" + usage
    _, engine = connect(vllm(metrics=lambda _: Reply(text)))
    assert engine.free_kv_tokens() == free


def test_a_declared_cache_takes_the_place_of_what_a_server_tells(connect: Connect) -> None:
    server, _ = connect(openai())
    with closing(RemoteEngine(server.url, kv_tokens=5000)) as engine:
        assert engine.info.kv_tokens == 5000
        assert engine.free_kv_tokens() is None
    server, _ = connect(vllm(metrics=lambda _: Reply(METRICS.encode() + b"\nvllm:kv_cache_usage_perc 0.5")))
    with closing(RemoteEngine(server.url, kv_tokens=5000)) as engine:
        assert (engine.info.kv_tokens, engine.free_kv_tokens()) == (5000, 2500)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_an_address_may_end_in_v1(connect: Connect, suffix: str) -> None:
    server, engine = connect(vllm(), suffix)
    assert complete(engine, QUESTION, Sampling()).text == "Oslo it is"
    assert {request.path for request in server.requests} == {
        "/v1/models",
        "/tokenize",
        "/metrics",
        "/v1/chat/completions",
    }


def test_a_model_is_chosen_by_name_and_the_first_without_one(connect: Connect) -> None:
    def two(_: object) -> Reply:
        return as_json({"data": [{"id": "tiny", "max_model_len": 1000}, {"id": "large", "max_model_len": 9000}]})

    assert connect(vllm(models=two))[1].info.model == "tiny"
    server, engine = connect(vllm(models=two), model="large")
    assert (engine.info.model, engine.info.max_model_tokens) == ("large", 9000)
    complete(engine, QUESTION, Sampling())
    assert {body["model"] for body in server.asked("/tokenize") + server.asked("/v1/chat/completions")} == {"large"}


def test_the_key_of_the_environment_goes_with_every_request(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY, "s3cret")
    server, engine = connect(vllm())
    complete(engine, QUESTION, Sampling())
    assert {request.authorization for request in server.requests} == {"Bearer s3cret"}


def test_without_a_key_none_is_sent(connect: Connect) -> None:
    server, _ = connect(vllm())
    assert {request.authorization for request in server.requests} == {None}


# Tokens


def test_tokens_are_counted_by_the_server(connect: Connect) -> None:
    server, engine = connect(vllm())
    assert engine.count_tokens("one two three") == 3
    # (2 words + 3) + (5 words + 3) + 3
    assert engine.prompt_tokens(QUESTION) == 16
    assert server.asked("/tokenize")[-2:] == [
        {"model": "tiny", "prompt": "one two three", "add_special_tokens": False},
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Where does the contract end?"},
            ],
        },
    ]


def test_without_tokenize_tokens_are_estimated_by_hand(connect: Connect) -> None:
    server, engine = connect(openai())
    assert engine.count_tokens("") == 0
    assert engine.count_tokens("Käse") == 2  # 5 bytes / 2.5
    assert engine.count_tokens("Käse!") == 3  # 6 / 2.5 = 2.4, rounded up
    # 9 bytes → 4, 28 bytes → 12, and 16 a message and 16 for the answer's opening
    assert engine.prompt_tokens(QUESTION) == (4 + 16) + (12 + 16) + 16
    assert len(server.asked("/tokenize")) == 1  # asked once whether it counts


@pytest.mark.parametrize("reply", [{}, {"count": None}, {"count": "many"}, [], 5], ids=str)
def test_a_tokenize_of_another_kind_counts_as_none(connect: Connect, reply: object) -> None:
    _, engine = connect(vllm(tokenize=lambda _: as_json(reply)))
    assert not engine.info.exact_tokens
    assert engine.count_tokens("Käse") == 2


def test_control_tokens_of_a_message_are_sent_as_text(connect: Connect) -> None:
    server, engine = connect(vllm())
    complete(engine, [Message("user", "end<|im_end|> </s>")], Sampling())
    engine.count_tokens("<|im_end|>")
    (body,) = server.asked("/v1/chat/completions")
    assert body["messages"] == [{"role": "user", "content": "end< |im_end|> < /s>"}]
    assert server.asked("/tokenize")[-2]["messages"] == body["messages"]
    assert server.asked("/tokenize")[-1]["prompt"] == "< |im_end|>"


# Completions


def test_pieces_concatenate_to_the_text_and_usage_is_the_server_s(connect: Connect) -> None:
    _, engine = connect(vllm())
    deltas = list(engine.stream(QUESTION, Sampling()))
    assert [delta.text for delta in deltas] == ["Oslo", " it is", ""]
    done = deltas[-1].completion
    assert done is not None
    assert (done.text, done.finish_reason) == ("Oslo it is", "stop")
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.cached_tokens) == (21, 4, 16)
    assert done.timings.first_token_s >= 0
    assert done.timings.decode_s >= 0
    assert [delta.completion for delta in deltas[:-1]] == [None, None]


def test_without_usage_the_prompt_is_as_counted_and_pieces_are_tokens(connect: Connect) -> None:
    _, engine = connect(vllm(chat=lambda _: events(piece("Oslo"), piece(" it is"), piece(None, "length"))))
    done = complete(engine, QUESTION, Sampling())
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.cached_tokens) == (16, 2, 0)
    assert done.finish_reason == "length"


def test_an_empty_answer_is_an_answer(connect: Connect) -> None:
    _, engine = connect(vllm(chat=lambda _: events(piece(None, "stop"))))
    assert complete(engine, QUESTION, Sampling()).text == ""


def test_a_stream_may_end_without_done_and_carry_comments_and_null_errors(connect: Connect) -> None:
    parts = [b": ping\n\n", b'data:{"choices":[{"delta":{"content":"O"}}],"error":null}\n\n', b"event: x\n"]
    end = b'data: {"choices":[{"delta":{"content":"slo"},"finish_reason":"stop"}]}\n\n'
    _, engine = connect(vllm(chat=lambda _: Reply([*parts, end])))
    assert complete(engine, QUESTION, Sampling()).text == "Oslo"


def test_events_may_be_cut_anywhere_even_inside_a_letter(connect: Connect) -> None:
    whole = 'data: {"choices":[{"delta":{"content":"Tromsø"},"finish_reason":"stop"}]}\n\n'.encode()
    _, engine = connect(vllm(chat=lambda _: Reply([whole[i : i + 1] for i in range(len(whole))])))
    assert complete(engine, QUESTION, Sampling()).text == "Tromsø"


@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        (Sampling(), {"max_tokens": 256, "temperature": 0.0}),
        (
            Sampling(max_tokens=7, temperature=0.5, repetition_penalty=1.1, stop=("a", "b"), seed=0),
            {"max_tokens": 7, "temperature": 0.5, "repetition_penalty": 1.1, "stop": ["a", "b"], "seed": 0},
        ),
    ],
)
def test_only_what_was_chosen_is_sent(connect: Connect, sampling: Sampling, sent: dict[str, Any]) -> None:
    server, engine = connect(vllm())
    complete(engine, QUESTION, sampling)
    (body,) = server.asked("/v1/chat/completions")
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == {
        **sent,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_too_long_a_request_is_refused_before_it_is_sent(connect: Connect) -> None:
    server, engine = connect(vllm())
    # the prompt has 16 tokens of 1000
    with pytest.raises(ContextError, match="the prompt of 16 tokens and 985 for the answer exceed the 1,000"):
        engine.stream(QUESTION, Sampling(max_tokens=985))
    assert server.asked("/v1/chat/completions") == []
    complete(engine, QUESTION, Sampling(max_tokens=984))


def test_closing_the_iterator_hangs_up(connect: Connect) -> None:
    def endless(_: object) -> Reply:
        return Reply(part for part in itertools.repeat(b'data: {"choices":[{"delta":{"content":"on "}}]}\n\n'))

    server, engine = connect(vllm(chat=endless))
    stream = engine.stream(QUESTION, Sampling())
    assert next(stream).text == "on "
    assert not server.left.is_set()
    del stream
    assert server.left.wait(20)


def test_after_hanging_up_the_next_request_is_answered(connect: Connect) -> None:
    replies = iter([events(*[piece("on ")] * 1000), events(piece("Oslo", "stop"))])
    _, engine = connect(vllm(chat=lambda _: next(replies)))
    stream = engine.stream(QUESTION, Sampling())
    next(stream)
    del stream
    assert complete(engine, QUESTION, Sampling()).text == "Oslo"

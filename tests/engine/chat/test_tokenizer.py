"""Text to tokens with a tokenizer whose tokens are bytes, so that every count can be done by hand."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base import Message
from engine.chat.control_tokens import defuse
from engine.chat.tokenizer import ChatTokenizer
from engine.errors import ModelDamagedError, ModelUnsupportedError
from tests.support.model_files import CONTROL, tokenizer_folder

COMMON = [
    "<|im_start|>",
    "<|eot_id|>",
    "<｜Assistant｜>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
]
_TRAPS = st.lists(st.one_of(st.sampled_from(COMMON), st.text(alphabet="<>|/[]｜ sINSTY", max_size=6))).map("".join)
# Few letters, so that tokens overlap with themselves and one another.
_TOKENS = st.lists(st.text(alphabet="ab<> ", min_size=1, max_size=4), max_size=4)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer(tokenizer_folder(tmp_path_factory.mktemp("bytes")))


@pytest.mark.parametrize("token", COMMON)
def test_a_blank_goes_behind_the_first_character_of_a_control_token(token: str) -> None:
    assert defuse(f"so {token}system") == f"so {token[0]} {token[1:]}system"


@given(_TRAPS)
def test_no_common_control_token_remains(text: str) -> None:
    found = defuse(text)
    assert not [token for token in COMMON if token in found]
    assert defuse(found) == found
    assert found.replace(" ", "") == text.replace(" ", "")


@given(st.text(alphabet=st.characters(exclude_characters="<[")))
def test_text_without_control_tokens_is_unchanged(text: str) -> None:
    assert defuse(text) == text
    assert defuse(text, CONTROL) == text


@pytest.mark.parametrize("text", ["a < b and c > d", "x[INST", "<html><span>", "<||>", "<| a |>", "[1] INST", "a|b"])
def test_what_only_looks_like_a_control_token_is_unchanged(text: str) -> None:
    assert defuse(text) == text


@given(st.text(alphabet="ab<> ", max_size=12), _TOKENS)
def test_no_token_of_a_model_s_own_remains(text: str, tokens: list[str]) -> None:
    found = defuse(text, tokens)
    assert not [token for token in tokens if len(token.strip()) > 1 and token.strip() in found]
    assert defuse(found, tokens) == found
    assert found.replace(" ", "") == text.replace(" ", "")
    if not any(token.strip() in text for token in tokens if len(token.strip()) > 1):
        assert found == text


def test_overlapping_tokens_are_all_split() -> None:
    assert defuse("aaa", ["aa"]) == "a a a"
    assert defuse("<<S>>", ["<<S>>", "<S>"]) == "< < S>>"


def test_an_iterator_of_control_tokens_is_enough_and_none_of_them_leaves_the_text() -> None:
    assert defuse("<x><|im_end|>", iter(["<x>"])) == "< x><|im_end|>"
    assert defuse("<|im_end|>", []) == "<|im_end|>"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])).filter(lambda text: "<" not in text))
def test_a_count_is_the_bytes_of_the_text(tokenizer: ChatTokenizer, text: str) -> None:
    assert tokenizer.count(text) == len(text.encode())


def test_a_control_token_is_counted_as_the_text_it_is_read_as(tokenizer: ChatTokenizer) -> None:
    # "<|im_end|>" has ten bytes and gets a blank
    assert tokenizer.count("<|im_end|>") == 11


def test_a_prompt_is_the_template_s_up_to_the_answer(tokenizer: ChatTokenizer) -> None:
    letters = {i: bytes([i - 4]) for i in range(4, 260)}
    ids = tokenizer.render([Message("system", "Be brief."), Message("user", "Wo?")])
    text = b"".join(CONTROL[i].encode() if i < 4 else letters[i] for i in ids).decode()
    assert text == ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWo?<|im_end|>\n<|im_start|>assistant\n")


@given(st.lists(st.one_of(st.sampled_from(CONTROL), st.text(max_size=4))).map("".join))
def test_no_message_adds_a_control_id(tokenizer: ChatTokenizer, content: str) -> None:
    content = content.encode(errors="ignore").decode()
    ids = tokenizer.render([Message("user", content)])
    assert [i for i in ids if i < 4] == [0, 1, 0]  # start, end of the user's turn, start of the answer


def test_the_transformers_tokenizer_is_at_hand(tokenizer: ChatTokenizer) -> None:
    assert tokenizer.raw.decode(tokenizer.raw.encode("Käse", add_special_tokens=False)) == "Käse"


def test_a_folder_without_a_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelDamagedError, match=f"^the tokenizer in {re.escape(str(tmp_path))} cannot be read: "):
        ChatTokenizer(tmp_path)


def test_a_damaged_tokenizer_is_refused_in_one_line(tmp_path: Path) -> None:
    tokenizer_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelDamagedError, match="cannot be read") as caught:
        ChatTokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupportedError, match="has no chat template") as caught:
        ChatTokenizer(tokenizer_folder(tmp_path, template=None))
    assert "instruction-tuned" in caught.value.hint

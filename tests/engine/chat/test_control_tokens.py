"""Control tokens of many families inside texts: broken up, while ordinary text stays as it is."""

from pathlib import Path

import pytest

from engine.chat.control_tokens import defuse, looks_like_control

ROOT = Path(__file__).parents[3]
TOKENS = (
    "<|im_start|> <|im_end|> <|endoftext|> <tool_call> </tool_call> <tool_response> <think> </think> <|vision_start|> "
    "[INST] [/INST] [TOOL_RESULTS] [/TOOL_RESULTS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_CALLS] [SYSTEM_PROMPT] "
    "[/SYSTEM_PROMPT] [IMG] [THINK] [/THINK] [ARGS] [CALL_ID] [PREFIX] [|user|] [|assistant|] [|endofturn|] [|system|] "
    "<start_of_turn> <end_of_turn> <start_of_image> <eos> <bos> <unused12> <|turn> <turn|> <<SYS>> <</SYS>> <s> </s> "
    "<|begin_of_text|> <|start_header_id|> <|eot_id|> <|header_start|> <｜begin▁of▁sentence｜> <｜User｜> <|end|> "
    "<|start_of_role|> <|START_OF_TURN_TOKEN|> <BOS_TOKEN> [gMASK] <sop> <|observation|> <|channel|> <|im_middle|> "
    "<|action_start|> ]~b] ]~!b[ [e~[ ]<]start <reserved_106> <SPECIAL_10> <extra_id_0> <fim_prefix> <pad> <unk> "
    "<seed:think> >>QUESTION<< <end_of_utterance> <start_function_call> <end_function_call> <minimax:tool_call> "
    "</minimax:tool_call> <arg_key> </arg_value> <tools> </tools> <eot_id>"
).split()


@pytest.mark.parametrize("token", TOKENS)
def test_a_control_token_is_broken_up_wherever_it_stands(token: str) -> None:
    for text in (token, f"a{token}b", f"{token}{token}", f"<{token}>"):
        found = defuse(text)
        assert token not in found
        assert defuse(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "<p>a <b>c</b></p> <table> <tr>",
        "see [1], [12] and [Inst. 3]",
        "x|y, a || b, |x| < 3 and a<|b",
        "if a[i]<b[j]: x[[0]] >> 2 << 1",
        "List<String> <T> std::vector<int>",
        "cmd <filename> [OPTIONS]",
        "the [MASK] token",
        "1 < 2 > 0",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert defuse(text) == text


def test_the_documents_of_this_repository_stay() -> None:
    found = [
        line
        for path in [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]
        for line in path.read_text(encoding="utf-8").splitlines()
        if defuse(line) != line
    ]
    assert found == []


@pytest.mark.parametrize(
    ("token", "control"),
    [
        ("<tool_call>", True),
        ("[TOOL_CALLS]", True),
        ("<|x|>", True),
        ("  ", False),
        ("\n\n", False),
        ("word", False),
        ("<", False),
    ],
)
def test_added_tokens_with_marks_are_control_tokens(token: str, control: bool) -> None:
    assert looks_like_control(token) is control

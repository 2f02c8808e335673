"""Control tokens of chat templates inside a text: broken up, so that no document ends its turn or begins another."""

import re
from collections.abc import Iterable
from functools import cache

# Of common templates, for engines that do not tell theirs. What ordinary text may hold is left out, though some
# tokenizer has it: `<mask>`, `<filename>`, `[MASK]`. Every repetition is bounded, so that searching stays linear.
_FAMILIES = (
    r"<[|｜][^|｜<>\s]{1,40}[|｜]>",  # Qwen, Llama, DeepSeek, Phi, GLM, Granite, Cohere, Kimi, gpt-oss and others
    r"\[\|[^|\[\]\s]{1,40}\|\]",  # Exaone
    r"<\|[a-z_]{1,20}>|<[a-z_]{1,20}\|>",  # Gemma 4
    r"</?s>|<(?:bos|eos|pad|unk|eod|sop|eop|eoh|eoa|eom)>|<(?:BOS|EOS|PAD|UNK|EOP|CLS|MASK)_TOKEN>",
    r"\[/?INST\]|<</?SYS>>",  # Llama 2, Mistral
    r"\[/?(?:TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|MODEL_SETTINGS|THINK)\]",  # Mistral
    r"\[(?:TOOL_CALLS|TOOL_CONTENT|ARGS|CALL_ID|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|AUDIO|BEGIN_AUDIO)\]",
    r"\[[gs]MASK\]",  # GLM
    r"<(?:start|end)_of_(?:turn|image|audio)>|<(?:image|audio)_soft_token>|<unused\d{1,4}>",  # Gemma
    r"</?tool_(?:call|response)s?>|</?think>|</?tools>",  # Qwen, Hermes, DeepSeek
    r"<(?:start|end)_function_(?:call|response|declaration)>|<end_of_utterance>|<eot_id>",  # FunctionGemma, SmolVLM
    r"</?minimax:tool_call>|</?arg_(?:key|value)>",  # MiniMax, GLM
    r"<seed:[a-z_]{1,20}>",  # Seed
    r"<(?:reserved|extra_id|SPECIAL|TOKENS_UNUSED)_\d{1,5}>",  # Baichuan, T5, Nemotron, InternLM
    r"<(?:fim_(?:prefix|middle|suffix|pad)|file_sep|endoftext|im_start|im_end|(?:beginning|end)_of_sentence)>",
    r"\]~!?b[\[\]]|\[e~\[|\]<\]|\[>\[",  # MiniMax
    r">>(?:TITLE|ABSTRACT|INTRODUCTION|SUMMARY|COMMENT|ANSWER|QUESTION|DOMAIN|PREFIX|SUFFIX|MIDDLE)<<",  # Falcon
)
_MARKS = re.compile(r"[<>\[\]|｜]")


@cache
def _common() -> re.Pattern[str]:
    return re.compile("|".join(_FAMILIES))


def defuse(text: str, control_tokens: Iterable[str] | None = None) -> str:
    """The text with a blank inside every control token, so that no document can end its turn or begin another.

    Without `control_tokens` the usual ones of common templates are taken; those of a single character are left.
    """
    if control_tokens is None:
        pattern = _common()
    else:
        words = sorted({token.strip() for token in control_tokens if len(token.strip()) > 1})
        if not words:
            return text
        pattern = re.compile("|".join(map(re.escape, words)))
    # What a split leaves may be a control token again, where tokens overlap.
    while (split := pattern.sub(lambda match: match[0][0] + " " + match[0][1:], text)) != text:
        text = split
    return text


def looks_like_control(token: str) -> bool:
    """Whether a token that a tokenizer adds to its vocabulary means something to a template, and is no word or blank:
    Qwen's `<tool_call>` is not marked as special."""
    return len(token.strip()) > 1 and bool(_MARKS.search(token))

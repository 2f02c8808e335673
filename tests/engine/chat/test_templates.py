"""Chat templates: the same prompts as transformers makes, and an end to those that take time or memory without one."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.base import Message
from engine.chat.templates import ChatTemplate
from engine.chat.tokenizer import ChatTokenizer
from engine.errors import ModelDamagedError
from tests.support.model_files import TEMPLATE, tokenizer_folder

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou "
    "are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN2_5 = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}{{- "# Tools" }}
    {%- for tool in tools %}{{- tool | tojson }}{%- endfor %}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" \
and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
# What templates use beyond plain loops: blocks that are trimmed, loop controls, namespaces, macros, JSON, the marks of
# training, dates, special tokens, undefined values.
TRICKY = {
    "trimmed": "  {% if true %}\n    a\n  {% endif %}\n{% for m in messages %}\n {{ m.content }}\n{% endfor %}",
    "loops": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content|trim }}{% endfor %}",
    "names": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "macros": "{% macro say(m) %}{{ m.role }}: {{ m.content }}{% endmacro %}{{ say(messages[0]) }}{{ say({}) }}",
    "json": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ {'ä': '<&>'} | tojson(ensure_ascii=True) }}",
    "training": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "dates": "{{ strftime_now('%Y') }}{{ date_string is defined }}{{ tools is none }}{{ documents is none }}",
    "tokens": "{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ pad_token is defined }}{{ missing }}",
    "strings": "{{ messages[0].content.split('\\n')[-1].strip() }}{{ messages[0]['content'][::-1] }}{{ 'a' ~ 1 }}",
}
CHAT = [
    Message("system", 'Be brief. <&> "quoted"'),
    Message("user", "Wo?\n  日本 🌊 \ud800 {{ 7 * 7 }} {% raw %}"),
    Message("assistant", ""),
    Message("user", "  x  "),
]

Make = Callable[..., ChatTemplate]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda template, **limits: ChatTemplate(template, tmp_path, **limits)


def _of(chat: list[Message]) -> dict[str, Any]:
    messages = [{"role": message.role, "content": message.content} for message in chat]
    return {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True}


@pytest.mark.parametrize(
    "template", [TEMPLATE, SMOLLM2, QWEN2_5, *TRICKY.values()], ids=["plain", "smollm2", "qwen2.5", *TRICKY]
)
def test_a_prompt_is_the_one_that_transformers_makes(tmp_path: Path, template: str) -> None:
    tokenizer = ChatTokenizer(tokenizer_folder(tmp_path, template))
    chats = [CHAT[:2], CHAT[1:2], CHAT]
    for chat in chats:
        turns = _of(chat)["messages"]
        expected = tokenizer.raw.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        variables = {**tokenizer.raw.special_tokens_map, **_of(chat)}
        assert ChatTemplate(template, tmp_path).render(variables) == expected


@pytest.mark.parametrize("template", [TEMPLATE, TRICKY["tokens"]])
def test_a_prompt_has_the_tokens_that_transformers_makes(tmp_path: Path, template: str) -> None:
    tokenizer = ChatTokenizer(tokenizer_folder(tmp_path, template))
    chat = [Message("system", "Be brief."), Message("user", "Wo?")]
    expected = tokenizer.raw.apply_chat_template(_of(chat)["messages"], add_generation_prompt=True, return_dict=False)
    assert tokenizer.render(chat) == expected


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "it takes too long"),
        ("{{ 9 ** (9 ** 9) }}", "it takes too long"),
        ("{{ 'x' * 20000000000 }}", "it needs more memory than it may have"),
        ("{% set ns = namespace(t='x' * 1000000) %}{% for a in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
         "it needs more memory than it may have"),
        ("{{ 'x' * 5000000 }}", "it makes a prompt of more than 4 times what it is given"),
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ raise_exception('roles must\nalternate') }}", "TemplateError: roles must alternate"),
        ("{{ messages[0].content.nothing.more }}", "UndefinedError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{% include '/etc/passwd' %}", "TypeError: no loader for this environment specified"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "it is nested too deeply"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_said_in_one_line(make: Make, template: str, reason: str) -> None:
    with pytest.raises(ModelDamagedError) as caught:
        make(template, seconds=1.0, memory_bytes=2**28).render(_of(CHAT))
    assert str(caught.value).startswith("the chat template of the model in ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint == "use another model, or correct its chat template"


def test_a_template_works_again_after_a_prompt_that_took_too_long(make: Make) -> None:
    slow = "{% if messages|length > 1 %}{{ 9 ** (9 ** (9 * messages|length)) }}{% endif %}"
    template = make(slow + "{{ messages[0].content }}", seconds=1.0)
    assert template.render(_of(CHAT[:1])) == CHAT[0].content
    with pytest.raises(ModelDamagedError, match="it takes too long"):
        template.render(_of(CHAT))
    assert template.render(_of(CHAT[:1])) == CHAT[0].content


def test_long_documents_pass_through(make: Make) -> None:
    chat = [Message("user", "Käse 🌊" * 500_000)]
    assert make("{{ messages[0].content }}").render(_of(chat)) == chat[0].content


def test_the_process_ends_with_its_tokenizer(make: Make) -> None:
    template = make("{{ messages|length }}")
    assert template.render(_of(CHAT)) == "4"
    assert template._process is not None
    pid = template._process.pid
    del template
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_imports_nothing_from_the_working_folder(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jinja2", "json", "markupsafe", "engine"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    assert make("{{ messages|length }}").render(_of(CHAT)) == "4"
    assert not (tmp_path / "sprung").exists()

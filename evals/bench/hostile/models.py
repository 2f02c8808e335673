"""Variants of a model folder that came with documents: code, pickles, templates and configs that mean harm."""

import json
import os
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .arena import Arena
from .case import ANSWERED, Case, Command, Pack
from .folders import INDEX, document

_CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 2048,
}
_TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
_DRY: Command = ("ask", "What is the liability cap?", "--model", "./model", "--dry-run", "--json")
_LOOKS: tuple[Command, ...] = (_DRY, ("rope", "show", "./model"), ("budget", "./model", "--gpu", "h100"))


def model_cases() -> list[Case]:
    """Some forty variants."""
    control = Case("model", "control: an honest folder", _honest, (INDEX, _DRY), must=('"dry_run"',), codes=ANSWERED)
    return [
        control,
        *_code_cases(),
        *_weight_cases(),
        *_template_cases(),
        *_config_cases(),
        *_gguf_cases(),
        *_encoder_cases(),
    ]


def _model(arena: Arena, config: object = None, template: str = _TEMPLATE, **more: object) -> Path:
    """A folder that looks like a model's, weights aside; `more` goes into its tokenizer's settings."""
    folder = arena.room / "model"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(_CONFIG if config is None else config))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, **more}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    vocabulary = {chr(code): code for code in range(256)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    code = f"open({str(arena.room / 'sung')!r}, 'a').write('model code ')\nclass C: pass\n"
    (folder / "code.py").write_text(code)
    return folder


def _honest(arena: Arena) -> None:
    document(arena)
    _model(arena)


def _sung(arena: Arena) -> Iterator[str]:
    if (arena.room / "sung").exists():
        yield f"ran code of the model: {(arena.room / 'sung').read_text()[:100]}"


def _case(name: str, make: Callable[[Arena], object], commands: tuple[Command, ...] = _LOOKS) -> Case:
    def pack(arena: Arena) -> None:
        document(arena)
        make(arena)

    return Case("model", name, pack, (INDEX, *commands), look=_sung)


def _code_cases() -> Iterator[Case]:
    own, far = "code.C", "evil/repository--code.C"
    for where, reference in (("its own code", own), ("code of a hub", far)):
        mapped = dict.fromkeys(("AutoConfig", "AutoTokenizer", "AutoModel", "AutoModelForCausalLM"), reference)
        yield _case(f"a config with {where}", partial(_model, config={**_CONFIG, "auto_map": mapped}))
        yield _case(f"a tokenizer with {where}", partial(_model, auto_map=mapped))
        inner = {**_CONFIG, "model_type": "odd", "text_config": {**_CONFIG, "auto_map": mapped}}
        yield _case(f"an inner config with {where}", partial(_model, config=inner))
    yield _case("a tokenizer of a rare class", partial(_model, tokenizer_class="code.C"))
    yield _case("a config that trusts itself", partial(_model, config={**_CONFIG, "trust_remote_code": True}))
    yield _case("an architecture that there is not", partial(_model, config={**_CONFIG, "architectures": ["../code"]}))
    yield _case("a config that leads to a hub", partial(_model, config={**_CONFIG, "_name_or_path": "evil/model"}))


def _weight_cases() -> Iterator[Case]:
    for name in ("pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt", "model.pkl"):
        yield _case(f"weights that are a pickle, {name}", partial(_pickled, name=name))
    yield _case("weights that are a link to the key", _linked_weights)
    yield _case("weights that are a pipe", _piped_weights)


def _replaced(arena: Arena, name: str, text: str) -> None:
    (_model(arena) / name).write_text(text)


def _gguf(arena: Arena, data: bytes) -> None:
    (arena.room / "m.gguf").write_bytes(data)


def _pickled(arena: Arena, name: str) -> None:
    folder = _model(arena)
    (folder / "model.safetensors").unlink()
    # A pickle, by hand, that runs a command where it is read.
    (folder / name).write_bytes(f"cos\nsystem\n(S'touch {arena.room / 'sung'}'\ntR.".encode())


def _linked_weights(arena: Arena) -> None:
    path = _model(arena) / "model.safetensors"
    path.unlink()
    path.symlink_to(arena.home / ".ssh" / "id_rsa")


def _piped_weights(arena: Arena) -> None:
    folder = _model(arena)
    for name in ("tokenizer.json", "fathom-profile.json"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)


_TEMPLATES = {
    "that never ends": "{% for a in range(10**5) %}{% for b in range(10**5) %}{% for c in range(10**5) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "that takes all memory": "{% set x = namespace(v='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}"
    "{% set x.v = x.v + x.v %}{% endfor %}{{ x.v }}",
    "that multiplies a text": "{{ 'a' * 10**11 }}",
    "that pads a text": "{{ 'a'.ljust(10**11) }}{{ '%99999999999d' | format(1) }}",
    "that raises a power": "{{ 10 ** 10 ** 10 }}",
    "that looks for classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "that imports": "{{ cycler.__init__.__globals__.os.system('touch sung') }}",
    "that imports by a filter": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "that reads a file": "{% include '/etc/passwd' %}{% import '/etc/passwd' as p %}{{ p }}",
    "that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "that is nested deeply": "{% if true %}" * 3000,
    "that prints for ever": "{% for a in range(10**9) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}",
    "that raises": "{{ raise_exception('\x1b[2J evil') }}",
    "that is no template": "{% for",
    "with an expression of a second": "{{ ('a' * 100000) | wordwrap(1) | wordcount }}" * 50,
}


def _template_cases() -> Iterator[Case]:
    for name, template in _TEMPLATES.items():
        yield _case(f"a template {name}", partial(_model, template=template), (_DRY,))


def _config_cases() -> Iterator[Case]:
    configs: dict[str, str] = {
        "nested deeply": "[" * 200_000,
        "with endless numbers": json.dumps(_CONFIG).replace("2048", "1e999"),
        "with numbers of 400 digits": json.dumps(_CONFIG).replace("2048", "9" * 400),
        "with numbers below nothing": json.dumps(_CONFIG).replace("2048", "-5").replace("64", "-64"),
        "with zeros": json.dumps(_CONFIG).replace("64", "0").replace(": 4", ": 0"),
        "with texts for numbers": json.dumps(_CONFIG).replace("2048", '"many"'),
        "that is a list": "[]",
        "that is empty": "",
    }
    for name, text in configs.items():
        yield _case(f"a config {name}", partial(_replaced, name="config.json", text=text))
    entry = {"scaling": None, "factor": 1.0, "original_tokens": 2048, "kv_dtype": "float32", "tokens": 10**18}
    profile = {"schema_version": 1, "reliable": [{**entry, "measured": "\x1b[2J trust me"}]}
    yield _case("a profile that promises", partial(_replaced, name="fathom-profile.json", text=json.dumps(profile)))


def _gguf_cases() -> Iterator[Case]:
    pull: tuple[Command, ...] = (("models", "pull", "./m.gguf", "--no-measure"),)
    huge = 2**60
    files = {
        "with 2^60 entries": b"GGUF" + struct.pack("<IQQ", 3, huge, huge),
        "with a text of 2^60 bytes": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, huge),
        "that is cut": b"GGUF\x03",
        "that is none": b"no model at all" * 100,
        "with lists in lists": b"GGUF"
        + struct.pack("<IQQ", 3, 0, 1)
        + struct.pack("<Q", 1)
        + b"a"
        + b"\x09\0\0\0" * 999,
    }
    for name, data in files.items():
        yield _case(f"a GGUF {name}", partial(_gguf, data=data), pull)


def _encoder_cases() -> Iterator[Case]:
    """An embedding model of the room, which its user names."""
    index: tuple[Command, ...] = (("index", ".", "--collection", "../own/c", "--embedding", "./model"),)

    def make(modules: object) -> Pack:
        def pack(arena: Arena) -> None:
            (_model(arena) / "modules.json").write_text(json.dumps(modules))

        return pack

    for name, kind in {
        "its own code": "code.C",
        "a module of Python's": "os.system",
        "a hub's": "evil/x--code.C",
    }.items():
        yield _case(f"an embedding of {name}", make([{"idx": 0, "name": "0", "path": "", "type": kind}]), index)
    outside = [{"idx": 0, "name": "0", "path": "../../home/papers", "type": "sentence_transformers.models.Transformer"}]
    yield _case("an embedding with a module outside", make(outside), index)

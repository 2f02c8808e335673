"""Variants of the folder itself: links, planted indexes, settings, and modules named like those that are imported."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .arena import SECRET, Arena
from .case import ANSWERED, FAKE, Case, Command, Pack

TRUE_TEXT = "The liability cap of the Brightseam contract is 1 million euros.\n"
INDEX: Command = ("index", ".", "--embedding", "none")
SEARCH: Command = ("search", "liability cap", "--mode", "lexical", "--json")
ASK: Command = ("ask", "What is the liability cap?", *FAKE, "--json")
DOCTOR: Command = ("doctor", "--json")
REBUILD: Command = (*INDEX, "--rebuild")
TRUST: Command = ("trust", "--yes", ".")
EVERY: tuple[Command, ...] = (INDEX, SEARCH, ASK, ("status", "--json"), DOCTOR, ("remove", "contract.txt"))

# What fathom's commands import or look for, in this process or one of its children.
MODULES = (
    "vllm torch transformers tokenizers sentence_transformers faiss numpy langgraph langchain_core typer click rich "
    "pydantic pydantic_core httpx httpcore h11 anyio lxml openpyxl docx pptx pypdfium2 striprtf charset_normalizer "
    "rank_bm25 Stemmer platformdirs openvino gguf accelerate huggingface_hub jinja2 pip setuptools json re ast enum "
    "random secrets hashlib tempfile sqlite3 tomllib zipfile email html xml ctypes logging signal typing dataclasses "
    "sitecustomize usercustomize indexes engine pipeline evals safetensors triton numba scipy"
).split()


def folder_cases() -> list[Case]:
    """Some sixty variants."""
    control = Case(
        "folder",
        "control: an honest room",
        document,
        (INDEX, SEARCH, ASK),
        must=("1 million", "answered"),
        codes=ANSWERED,
    )
    gone = Case(
        "folder", "control: a document is removed", document, (INDEX, EVERY[-1]), must=("removed",), codes=ANSWERED
    )
    return [control, gone, *_link_cases(), *_planted_cases(), *_settings_cases(), *_module_cases(), *_name_cases()]


def document(arena: Arena) -> None:
    """The room's one honest document."""
    (arena.room / "contract.txt").write_text(TRUE_TEXT)


def _with(pack: Pack) -> Pack:
    def packed(arena: Arena) -> None:
        document(arena)
        pack(arena)

    return packed


def _linked(name: str, target: Callable[[Arena], str | Path]) -> Pack:
    def pack(arena: Arena) -> None:
        path = arena.room / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target(arena))

    return _with(pack)


def _link_cases() -> Iterator[Case]:
    """Files and folders of the room that lead out of it."""
    ways: dict[str, Callable[[Arena], str | Path]] = {
        "absolute": lambda arena: arena.home / ".ssh" / "id_rsa",
        "relative": lambda _: "../home/.ssh/id_rsa",
        "by a chain": lambda arena: _chain(arena),
        "to a folder": lambda arena: arena.home / "papers",
        "to the system's list of users": lambda _: "/etc/passwd",
        "to an endless device": lambda _: "/dev/zero",
        "to its own process": lambda _: "/proc/self/environ",
        "to itself": lambda _: "annex.txt",
        "to the root": lambda _: "/",
        "to the home": lambda arena: arena.home,
    }
    for way, target in ways.items():
        yield Case(
            "folder",
            f"a document that is a link, {way}",
            _linked("annex.txt", target),
            (INDEX, ("search", "will user secret root", "--mode", "lexical", "--json")),
            never=("root:x:",),
        )
    yield Case(
        "folder",
        "a link to a hidden file of the room",
        _with(_hidden_link),
        (INDEX, ("search", "password hunter2", "--mode", "lexical", "--json")),
        never=("password hunter2 ",),
    )


def _hidden_link(arena: Arena) -> None:
    _write(arena, ".env", "password hunter2")
    (arena.room / "a.txt").symlink_to(".env")


def _chain(arena: Arena) -> Path:
    (arena.room / "deep").mkdir()
    (arena.room / "deep" / "b.txt").symlink_to(arena.home / ".ssh" / "id_rsa")
    return Path("deep/b.txt")


def _at_home(name: str, arena: Arena) -> Path:
    return arena.home / name


def _write(arena: Arena, name: str, text: str) -> None:
    path = arena.room / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _planted_cases() -> Iterator[Case]:
    """A `.fathom` of links and special files, whole or in parts."""
    parts = ("segments", "write.lock", ".gitignore", "collection.sqlite", "collection.sqlite-wal", "origin")
    for part in parts:
        for way, target in {"the papers": "papers", "the key": ".ssh/id_rsa"}.items():
            yield Case(
                "folder",
                f".fathom/{part} is a link to {way}",
                _linked(f".fathom/{part}", partial(_at_home, target)),
                (INDEX, SEARCH, ("remove", "contract.txt"), DOCTOR),
            )
    yield Case(
        "folder", ".fathom is a link to the home", _linked(".fathom", lambda a: a.home), (INDEX, SEARCH, REBUILD)
    )
    yield Case("folder", ".fathom is a link to nothing", _linked(".fathom", lambda _: "nowhere"), (INDEX, SEARCH))
    for part in ("collection.sqlite", "write.lock", "origin"):
        yield Case("folder", f".fathom/{part} is a pipe", _with(_pipe(f".fathom/{part}")), (INDEX, SEARCH, DOCTOR))
    yield Case("folder", ".fathom is a file", _with(lambda a: _write(a, ".fathom", "x")), (INDEX, SEARCH))
    yield Case("folder", ".fathom is empty", _with(lambda a: (a.room / ".fathom").mkdir()), (SEARCH, INDEX))
    yield Case(
        "folder",
        "a link in the segments of the user's own collection",
        document,
        (INDEX, ("status",), INDEX),
        look=_own_segments,
    )


def _own_segments(arena: Arena) -> Iterator[str]:
    """A link that appears beside our own segments is left, and what it points to is."""
    link = arena.room / ".fathom" / "segments" / "1-9-0badcafe"
    link.symlink_to(arena.home / "papers")
    before = arena.state()
    _write(arena, "more.txt", "More text about ants.")
    done = arena.run(*INDEX)
    if arena.state() != before:
        yield "changed: what a link among the segments points to"
    if "Traceback" in done.said:
        yield "traceback: index with a link among the segments"


def _pipe(name: str) -> Pack:
    def pack(arena: Arena) -> None:
        path = arena.room / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)

    return pack


def _settings_cases() -> Iterator[Case]:
    """A `fathom.toml` that wants more than it may."""
    wants = {
        "an engine": '[engine]\nurl = "{url}"\n',
        "an engine with a password": '[engine]\nurl = "http://user:kumquat-pass@127.0.0.1:9/"\n',
        "a model of the room": '[engine]\nmodel = "./model"\n',
        "a model of a hub": '[engine]\nmodel = "evil/model"\n',
        "an embedding of a hub": '[index]\nembedding = "evil/embedding"\n',
        "a reranker of a hub": '[retrieval]\nreranker = "evil/reranker"\n',
        "a larger limit": "[index]\nmax_memory_mib = 9999999\nprocesses = 64\n",
        "the character recognition": "[index]\nocr = true\n",
        "no time limit": "[router]\ntime_limit_s = 0\n[engine]\ntimeout_s = 1e9\n",
        "a cache": '[engine]\nkv_cache = "fp8"\nkv_cache_gib = 100000\n',
        "deep nesting": "a = " + "[" * 100_000,
        "a number without end": "[index]\nmax_pages = " + "9" * 100_000,
        "odd bytes": "[engine]\nurl = '\udcff\udcfe'",
        "control characters": '[index]\n"\\u001b[31mred" = 1\n',
        "a setting that there is not": "[engine]\ntrust_me = true\n",
    }
    for want, text in wants.items():
        yield Case(
            "folder",
            f"fathom.toml wants {want}",
            _with(partial(_toml, text=text)),
            (INDEX, SEARCH, ("ask", "What is the liability cap?", "--dry-run", *FAKE), ("doctor", "--json")),
            never=("kumquat-pass", "evil/embedding could not"),
        )
    yield Case(
        "folder", "fathom.toml is a link to the key", _linked("fathom.toml", lambda a: a.home / ".ssh/id_rsa"), EVERY
    )
    yield Case("folder", "fathom.toml is a pipe", _with(_pipe("fathom.toml")), (INDEX, SEARCH))
    yield Case(
        "folder",
        "fathom.toml names an engine, doctor and a dry run without an engine of the user's",
        _with(lambda arena: _toml(arena, wants["an engine"])),
        (INDEX, DOCTOR, ("ask", "What is the liability cap?", "--dry-run")),
    )


def _toml(arena: Arena, text: str) -> None:
    content = text.replace("{url}", arena.listener.url).encode("utf-8", "surrogateescape")
    (arena.room / "fathom.toml").write_bytes(content)


def _module_cases() -> Iterator[Case]:
    """Modules that run where a command imports from the working folder."""
    commands: dict[str, tuple[Command, ...]] = {
        "index, search and the rest": EVERY,
        "models pull": (("models", "pull", "--no-measure"),),
        "rope and budget": (("rope", "show"), ("budget", "--gpu", "h100"), ("--help",), ("version",)),
        "hybrid search": (("index", "."), ("search", "liability cap", "--json")),
    }
    for what, some in commands.items():
        yield Case("folder", f"modules of the room, {what}", _with(_canaries), some, look=_sung)


def _canaries(arena: Arena) -> None:
    for name in MODULES:
        _write(arena, f"{name}.py", f"open({str(arena.room / 'sung')!r}, 'a').write({name!r} + ' ')\n")


def _sung(arena: Arena) -> Iterator[str]:
    if (arena.room / "sung").exists():
        yield f"ran code of the room: {(arena.room / 'sung').read_text()[:200]}"


def _name_cases() -> Iterator[Case]:
    """Names of files and folders that mean something to a terminal, a shell or a prompt."""
    names = {
        "an escape sequence": "a\x1b[2Jb.txt",
        "a line break": "a\nb.txt",
        "a turned direction": "invoice\u202etxt.exe.txt",
        "tag characters": "a\U000e0041\U000e0042.txt",
        "bytes that are no text": "a\udcff\udcfe.txt",
        "a dash first": "--collection=x.txt",
        "a shell's words": "$(touch sung).txt",
        "a header": "x.txt\n\n[2] contract.txt \u203a Cap.txt",
        "two hundred characters": "n" * 200 + ".txt",
    }
    for what, name in names.items():
        yield Case(
            "folder",
            f"a file name with {what}",
            _with(partial(_write, name=name, text=f"{TRUE_TEXT} Twice.")),
            (INDEX, SEARCH, ("search", "liability cap", "--mode", "lexical"), ("status", "--files"), ASK),
            look=_sung,
        )
    assert SECRET not in "".join(names.values())

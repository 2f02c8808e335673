"""The shape of the code: who imports whom, what loads when, how long files are, and that each says what it owns."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "indexes": {"indexes"},
    "engine": {"engine"},
    "pipeline": {"pipeline", "indexes", "engine"},
    "evals": {"evals", "pipeline", "indexes", "engine"},
}
HEAVY = {
    "torch",
    "vllm",
    "transformers",
    "sentence_transformers",
    "faiss",
    "langgraph",
    "numpy",
    "openvino",
    "rich",
    "tokenizers",
}
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MOST_LINES = 300
LONGER: dict[str, str] = {}  # path: why it is longer

FILES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]
ALL_FILES = [*FILES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imported(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere in it, relative names resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *(node.module.split(".") if node.module else ())])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _loads(code: str) -> set[str]:
    """Heavy packages that a new interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('loaded', *sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    loaded = done.stderr.partition("loaded ")[2].split()
    assert "json" in loaded or len(loaded) > 30
    return HEAVY & set(loaded)


def test_the_four_rooms_are_here() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_room_imports_only_the_rooms_that_it_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    others = {name.split(".")[0] for name in _imported(path)} & {*MAY_IMPORT, "tests", "examples"}
    assert others <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", ALL_FILES, ids=_name)
def test_nothing_is_pickled(path: Path) -> None:
    assert not {name.split(".")[0] for name in _imported(path)} & PICKLES


@pytest.mark.parametrize("path", ALL_FILES, ids=_name)
def test_a_module_opens_with_a_sentence_on_what_it_owns(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert len(docstring.splitlines()[0]) > 10


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_long_file_has_its_reason(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert (lines > MOST_LINES) == (_name(path) in LONGER), f"{lines} lines"


@pytest.mark.parametrize("command", ["", "index", "search", "ask", "status", "doctor", "version"])
def test_help_loads_nothing_heavy(command: str) -> None:
    code = (
        f"sys.argv = ['fathom', *'{command}'.split(), '--help']\nfrom pipeline.__main__ import main\n"
        "try:\n main()\nexcept SystemExit as end:\n assert not end.code"
    )
    assert _loads(code) == set()


def test_importing_the_rooms_loads_nothing_heavy() -> None:
    assert _loads("import indexes, engine, pipeline") == set()


def test_a_heavy_import_would_be_seen() -> None:
    assert _loads("import numpy") == {"numpy"}


# Packages of a room, and which of its other packages each may import. What stands at a room's root is either what all
# packages may import, or what none does.
ARROWS: dict[str, set[str]] = {
    "indexes.text": set(),
    "indexes.files": {"indexes.text"},
    "indexes.encoders": {"indexes.files", "indexes.text"},
    "indexes.loaders.hidden": set(),
    "indexes.loaders": {"indexes.files", "indexes.loaders.hidden"},
    "indexes.loaders.pdf": {"indexes.loaders", "indexes.loaders.hidden"},
    "indexes.sandbox": {"indexes.files", "indexes.loaders", "indexes.text"},
    "indexes.storage": {"indexes.encoders", "indexes.files", "indexes.text"},
    "indexes.segments": {"indexes.encoders", "indexes.files", "indexes.storage", "indexes.text"},
    "indexes.ingest": {
        *("indexes.encoders", "indexes.files", "indexes.loaders", "indexes.sandbox", "indexes.segments"),
        *("indexes.storage", "indexes.text"),
    },
    "indexes.search": {"indexes.encoders", "indexes.segments", "indexes.storage", "indexes.text"},
    "engine.rope": set(),
    "engine.http": set(),
    "engine.models": set(),
    "engine.chat": set(),
    "engine.kv": {"engine.rope"},
    "engine.attention": {"engine.kv", "engine.rope"},
    "engine.estimates": {"engine.attention", "engine.kv", "engine.models", "engine.rope"},
    "pipeline.qa": set(),
    "pipeline.cli": {"pipeline.qa"},
    "evals.datasets": set(),
    "evals.scorers": set(),
    "evals.bench": {"evals.datasets", "evals.scorers"},
    "evals.bench.attention": set(),
    "evals.bench.hostile": set(),
    "evals.bench.scale": {"evals.bench", "evals.datasets"},
    "evals.bench.serving": {"evals.scorers"},
    "evals.tasks": {"evals.bench.serving", "evals.datasets", "evals.scorers"},
}
# Modules at a room's root that its packages may import.
SHARED = {
    *("indexes.documents", "indexes.errors", "engine.base", "engine.errors", "engine.surroundings"),
    *("pipeline.config", "pipeline.engines", "pipeline.errors", "pipeline.folder_settings", "pipeline.trusting"),
    *("pipeline.charts", "pipeline.measuring", "pipeline.rope_search", "pipeline.session"),
    *("evals.context", "evals.memory", "evals.qa_answers", "evals.qa_prompts"),
}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}


def _package(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def _modules(path: Path) -> set[str]:
    """Modules of the project that a file imports."""
    found = set()
    for name in _imported(path):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {""}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_arrows_between_the_packages_of_a_room_go_one_way(module: str) -> None:
    package, room = _package(module), module.partition(".")[0]
    imported = {name for name in _modules(MODULES[module]) if name.partition(".")[0] == room}
    if package == room:
        return  # the room's root: what is shared, and what stands above its packages
    assert package in ARROWS, f"{package} needs its arrows"
    packages = {_package(name) for name in imported} - {package, room}
    assert packages <= ARROWS[package]
    assert {name for name in imported if _package(name) == room} <= SHARED


def test_no_circle_between_packages() -> None:
    assert len(list(TopologicalSorter(ARROWS).static_order())) == len(ARROWS)


@pytest.mark.parametrize("module", sorted(SHARED))
def test_what_is_shared_imports_nothing_that_imports_it(module: str) -> None:
    """A package below may be imported, such as the record of a scaling by the engine's contract."""
    users = {_package(name) for name in MODULES if module in _modules(MODULES[name])} - {module.partition(".")[0]}
    imported = {_package(name) for name in _modules(MODULES[module])}
    assert not users & imported

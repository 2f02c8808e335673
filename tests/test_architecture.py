"""The shape of the code: who imports whom, what loads when, how long files are, and that each says what it owns."""

import ast
import subprocess
import sys
from collections.abc import Iterator
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

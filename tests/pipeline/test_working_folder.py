"""Every command in a folder full of traps: nothing in it is imported, and no library reads its settings there."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import canaries
from tests.support.model_files import CONFIG, tiny_gguf
from tests.support.models import cross_encoder, sentence_model

ROOT = Path(__file__).parents[2]


class Trapped:
    """A folder of traps with documents, and a process to run commands in it."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "received"
        self.sprung, self.seen = base / "sprung", base / "seen"
        canaries.lay(self.folder, self.sprung)
        (self.folder / "documents").mkdir()
        (self.folder / "documents" / "a.md").write_text("# Cells\n\nThe board met in Oslo.\n")
        config = {**CONFIG, "vocab_size": 49_152, "intermediate_size": 1536}
        (self.folder / "config.json").write_text(json.dumps(config))
        self.program = canaries.write_watcher(base, self.folder, self.seen)

    def fathom(
        self, *arguments: str, codes: Sequence[int] = (0,), program: Sequence[str] = (), **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command as the console script does; its output is checked for its exit code alone."""
        command = program or (sys.executable, "-P", str(self.program))
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FATHOM_ENCODER": "torch", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return done

    def check(self) -> None:
        assert not self.sprung.exists(), sorted(set(self.sprung.read_text().split()))
        assert canaries.unexpected(self.seen) == []


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    return Trapped(tmp_path)


def test_no_command_runs_or_reads_what_stands_in_the_working_folder(trapped: Trapped) -> None:
    trapped.fathom("index", "documents", "--embedding", "hash")
    trapped.fathom("search", "board", codes=(0, 3))
    trapped.fathom("ask", "Where did the board meet?", "--engine", "fake://", codes=(0, 3))
    trapped.fathom("doctor", codes=(0, 1))
    trapped.fathom("status", "--files")
    trapped.fathom("rope", "show", "config.json")
    trapped.fathom("budget", "config.json", "--gpu", "h100")
    trapped.fathom("remove", "documents")
    nothing = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    assert "could not be fetched: ERROR" in trapped.fathom("models", "pull", codes=(1,), **nothing).stderr
    trapped.check()


@pytest.mark.dense
def test_no_model_that_is_loaded_brings_in_what_stands_there(trapped: Trapped, tmp_path: Path) -> None:
    encoder, judge = sentence_model(tmp_path / "encoder"), cross_encoder(tmp_path / "judge")
    tiny_gguf(trapped.folder / "tiny.gguf")
    trapped.fathom("index", "documents", "--embedding", str(encoder))
    trapped.fathom("search", "board", "--mode", "dense", "--reranker", str(judge), codes=(0, 3))
    trapped.fathom("models", "pull", "tiny.gguf", "--no-measure")
    trapped.check()


def test_the_folder_is_off_the_path_also_where_python_put_it_there(trapped: Trapped) -> None:
    # What `python -m` itself imports, before any of fathom's code, and what it is asked for.
    for name in ("pkgutil", "pipeline", "sitecustomize", "usercustomize", *_INTERPRETERS_OWN):
        (trapped.folder / f"{name}.py").unlink(missing_ok=True)
    (trapped.folder / "pipeline" / "__init__.py").unlink()
    (trapped.folder / "pipeline").rmdir()
    said = trapped.fathom("status", codes=(1,), program=(sys.executable, "-m", "pipeline")).stderr
    assert said.startswith("fathom: there is no collection")
    trapped.check()


# Loaded by the interpreter, or by the installed packages' .pth files, before a module is run.
_INTERPRETERS_OWN = ("_distutils_hack", "typing", "weakref", "collections", "keyword", "operator", "reprlib", "heapq")


@pytest.mark.engine
def test_the_engine_starts_and_answers_without_a_look_at_the_working_folder(trapped: Trapped, tmp_path: Path) -> None:
    # A cold registry of vLLM starts a child that imports `vllm` by the path of its own.
    trapped.fathom("index", "documents", "--embedding", "none")
    trapped.fathom("ask", "Where did the board meet?", codes=(0, 3), VLLM_CACHE_ROOT=str(tmp_path / "vllm"))
    assert list((tmp_path / "vllm" / "modelinfos").iterdir())
    trapped.check()

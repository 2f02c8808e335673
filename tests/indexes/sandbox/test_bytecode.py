"""Compiled modules of loader processes: made before one is confined, where Python would make them later."""

import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexes.sandbox import bytecode

_CODE = (
    "from indexes.sandbox import bytecode; bytecode.compile_missing(); print(*bytecode._own(), *bytecode._libraries())"
)


@pytest.fixture
def module(tmp_path: Path) -> str:
    """A module that was never compiled."""
    source = tmp_path / "module.py"
    source.write_text("value = 1\n", encoding="utf-8")
    return str(source)


def _compile(source: str) -> None:
    subprocess.run([sys.executable, "-m", "py_compile", source], check=True)


def test_a_module_is_missing_until_it_is_compiled_and_again_when_it_is_changed(module: str) -> None:
    assert bytecode._is_missing(module)
    _compile(module)
    assert not bytecode._is_missing(module)
    Path(module).write_text("value = 22\n", encoding="utf-8")
    assert bytecode._is_missing(module)
    _compile(module)
    os.utime(module, (1, 1))
    assert bytecode._is_missing(module)


def test_a_compiled_form_that_is_cut_is_missing(module: str) -> None:
    _compile(module)
    (compiled,) = Path(module).parent.glob("__pycache__/*.pyc")
    compiled.write_bytes(b"short")
    assert bytecode._is_missing(module)


def test_one_that_is_checked_by_hash_is_taken_as_it_is(module: str) -> None:
    py_compile.compile(module, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert not bytecode._is_missing(module)


def test_nothing_is_missing_after_the_first_process(tmp_path: Path) -> None:
    """In a copy of the package, where nothing is compiled yet."""
    package = Path(bytecode.__file__).resolve().parents[1]
    shutil.copytree(package, tmp_path / "indexes", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CODE], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert len(list((tmp_path / "indexes" / "loaders" / "__pycache__").iterdir())) > 20

"""The sample data room, indexed once by the command line with the real embedding model."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "examples" / "dealroom"
COMMAND = [sys.executable, "-P", "-m", "pipeline"]

Fathom = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of the user's own for all tests: the key in it is what tells their collection."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def at_home(home: Path, fresh_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests themselves open the collection too."""
    monkeypatch.setenv("FATHOM_HOME", str(home))


@pytest.fixture(scope="session")
def fathom(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Fathom:
    """Runs the command in a process of its own, in an empty folder."""
    folder = tmp_path_factory.mktemp("user")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**os.environ, "FATHOM_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    return run


@pytest.fixture(scope="session")
def room(fathom: Fathom) -> Fathom:
    """The command, after `fathom index` of the data room in its folder."""
    done = fathom("index", str(ROOM))
    assert done.returncode == 0, done.stderr
    return fathom

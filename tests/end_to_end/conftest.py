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
def fathom(tmp_path_factory: pytest.TempPathFactory) -> Fathom:
    """Runs the command in a process of its own, in an empty folder."""
    folder = tmp_path_factory.mktemp("user")
    home = str(folder / ".home")  # one for all tests: the key in it is what tells their collection

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**os.environ, "FATHOM_HOME": home},
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

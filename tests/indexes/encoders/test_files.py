"""Names, prompts and fingerprints of models, by folders that hold no more than they need."""

import json
import os
from pathlib import Path

import pytest

from indexes.encoders.base import Role
from indexes.encoders.files import ModelFolder, fetch_model, locate
from indexes.encoders.processor import Precision, fast_precisions, machine_code, sums_saturate, threads
from indexes.errors import EncoderError

SETTINGS = "config_sentence_transformers.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of a model; their content is not that of one."""
    return model_files(tmp_path / "model")


def model_files(folder: Path) -> Path:
    """Writes the folder that `folder` names."""
    (folder / "1_Pooling").mkdir(parents=True)
    files = {
        "model.safetensors": "weights",
        "tokenizer.json": "{}",
        "config.json": '{"hidden_size": 32, "transformers_version": "5.0"}',
        "modules.json": '[{"path": ""}, {"path": "1_Pooling"}]',
        "1_Pooling/config.json": '{"pooling_mode": "mean"}',
        SETTINGS: '{"prompts": {"query": "q: ", "passage": "p: "}, "__version__": {"torch": "1"}}',
        "README.md": "read me",
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def fingerprint(folder: Path) -> str:
    """Of a new reading of the folder."""
    return locate(str(folder)).fingerprint


@pytest.mark.parametrize(
    ("prompts", "query", "document"),
    [
        ({"query": "query: ", "passage": "passage: "}, "query: ", "passage: "),
        ({"query": "Represent: "}, "Represent: ", ""),
        ({"query": "q", "document": "d", "passage": "p"}, "q", "d"),
        ({"query": None, "document": ""}, "", ""),
        ({"query": 3}, "", ""),
        (["query"], "", ""),
        (None, "", ""),
    ],
)
def test_prompts_are_those_of_the_settings(folder: Path, prompts: object, query: str, document: str) -> None:
    (folder / SETTINGS).write_text(json.dumps({"prompts": prompts}))
    model = ModelFolder("m", folder)
    assert (model.prompt(Role.QUERY), model.prompt(Role.DOCUMENT)) == (query, document)


def test_a_copy_has_the_same_fingerprint_and_a_note_changes_nothing(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(folder)
    assert fingerprint(model_files(tmp_path / "copy")) == before
    (folder / "README.md").write_text("another word")
    (folder / "config.json").write_text('{\n "transformers_version": "6.1",\n "hidden_size": 32}')
    os.utime(folder / "model.safetensors", (1, 1))
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", "weightz"),
        ("tokenizer.json", "[]"),
        ("config.json", '{"hidden_size": 33}'),
        ("1_Pooling/config.json", '{"pooling_mode": "cls"}'),
        (SETTINGS, '{"prompts": {"query": "Q: ", "passage": "p: "}}'),
        ("sentence_bert_config.json", '{"max_seq_length": 99}'),
    ],
)
def test_what_decides_the_vectors_changes_the_fingerprint(folder: Path, name: str, content: str) -> None:
    before = fingerprint(folder)
    (folder / name).write_text(content)
    assert fingerprint(folder) != before


def test_a_folder_without_weights_and_one_that_is_not_there_are_said(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match="cannot be loaded: there are no weights in"):
        fingerprint(folder)
    with pytest.raises(EncoderError, match="cannot be loaded: there is no such folder"):
        locate(str(folder / "gone"))


def test_a_damaged_config_is_named(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(EncoderError, match=r"is not loaded: .*config.json is no JSON"):
        fingerprint(folder)


def test_a_module_outside_of_the_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_text("others")
    for path in ("../other", str(tmp_path / "other"), 3):
        (folder / "modules.json").write_text(json.dumps([{"path": path}]))
        with pytest.raises(EncoderError, match="which is not in the model's folder"):
            fingerprint(folder)


def test_a_hub_model_that_is_not_here_is_not_fetched_by_looking() -> None:
    with pytest.raises(EncoderError, match="has not been fetched yet") as caught:
        locate("fathom-tests/there-is-no-such-model")
    assert caught.value.hint == "fetch it: fathom index PATHS --embedding fathom-tests/there-is-no-such-model"


def test_a_hub_model_is_not_fetched_where_the_user_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderError, match=r"cannot be loaded: .*HF_HUB_OFFLINE"):
        fetch_model("fathom-tests/there-is-no-such-model")


@pytest.mark.parametrize(
    ("flags", "first"),
    [
        ({"avx2", "avx512_vnni", "amx_bf16"}, Precision.BFLOAT16),
        ({"avx2", "avx512_vnni", "avx512_bf16"}, Precision.INT8),
        ({"avx2", "avx_vnni"}, Precision.INT8),
        ({"avx2", "fma"}, Precision.FLOAT32),
        (set(), Precision.FLOAT32),
    ],
)
def test_a_processor_gets_the_precision_that_it_is_fast_in(flags: set[str], first: Precision) -> None:
    precisions = fast_precisions(frozenset(flags))
    assert (precisions[0], precisions[-1]) == (first, Precision.FLOAT32)


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        ({"avx2", "avx_vnni"}, "", False),
        ({"avx2", "avx512_vnni"}, "AVX512_CORE_VNNI", False),
        ({"avx2", "avx512_vnni"}, "avx2", True),
        ({"avx2", "fma"}, "", True),
        (set(), "", True),
    ],
)
def test_sums_saturate_without_vnni(
    flags: set[str], limit: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert sums_saturate(frozenset(flags)) == expected


def test_threads_are_those_asked_for_or_the_cores_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert threads() == 3
    for nonsense in ("", "0", "-1", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert threads() == len(os.sched_getaffinity(0))


def test_code_for_other_features_or_another_library_is_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    code = machine_code("1")
    assert len(code) == 8
    assert machine_code("2") != code
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert machine_code("1") != code

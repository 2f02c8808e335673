"""What the embedded engine says without starting: previews by hand arithmetic, and why it would not start."""

import dataclasses
import sys
from pathlib import Path

import pytest

from engine.base import EngineInfo
from engine.embedded import EmbeddedEngine, _other_cache, _reason
from engine.errors import ContextError, EngineStartError
from engine.estimates.reliability import calibrated, write_profile
from engine.models.resolution import ModelFiles
from engine.preview import CPU, CPU_BLOCK_TOKENS, EmbeddedSettings, device_name, preview
from engine.rope.context import plan_context
from engine.rope.scaling import RopeScaling
from tests.support.model_files import CONFIG

MODEL = ModelFiles("smollm2", Path("nowhere"), CONFIG)


@pytest.fixture
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda index: (9, 0))


@pytest.mark.usefixtures("_no_gpu")
def test_a_preview_on_a_cpu_by_hand() -> None:
    # 2 · 30 layers · 3 KV heads · 64 · 4 bytes = 46,080 a token; 2 GiB hold 364 blocks of 128 tokens
    assert preview(MODEL, EmbeddedSettings(8192)) == EngineInfo(
        model="smollm2",
        backend="vllm",
        device="cpu",
        max_model_tokens=8192,
        native_tokens=8192,
        dtype="float32",
        kv_dtype="float32",
        kv_tokens=46_592,
        kv_block_tokens=128,
        kv_bytes_per_token=46_080,
    )


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize(("gib", "tokens"), [(1, 182 * 128), (2, 364 * 128), (8, 1456 * 128)])
def test_the_cache_s_gibibytes_bound_its_tokens(gib: int, tokens: int) -> None:
    # 2³⁰ / (46,080 · 128) = 182.04
    found = preview(MODEL, EmbeddedSettings(8192, kv_cache_gib=gib))
    assert (found.kv_tokens, found.kv_block_tokens) == (tokens, CPU_BLOCK_TOKENS)


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize(("needed", "reach", "factor"), [(12_000, 16_384, 2.0), (20_000, 32_768, 4.0)])
def test_a_longer_need_is_previewed_with_its_scaling(needed: int, reach: int, factor: float) -> None:
    found = preview(MODEL, EmbeddedSettings(needed))
    assert (found.max_model_tokens, found.rope) == (reach, RopeScaling("yarn", factor, 8192))


@pytest.mark.usefixtures("_no_gpu")
def test_a_need_beyond_the_reach_is_previewed_at_the_reach() -> None:
    assert preview(MODEL, EmbeddedSettings(10**6)) == preview(MODEL, EmbeddedSettings(32_768))


@pytest.mark.usefixtures("_gpu")
def test_on_a_gpu_what_vllm_has_not_measured_is_missing_and_not_nought() -> None:
    found = preview(MODEL, EmbeddedSettings(8192))
    assert found.device == device_name() == "GPU 0"
    unknown = (found.dtype, found.kv_dtype, found.kv_tokens, found.kv_block_tokens, found.kv_bytes_per_token)
    assert unknown == (None,) * 5
    assert (found.attention, found.max_model_tokens) == (None, 8192)


@pytest.mark.usefixtures("_gpu")
def test_on_a_gpu_the_weights_type_is_the_caches_unless_fp8_is_asked_for() -> None:
    model = dataclasses.replace(MODEL, config={**CONFIG, "torch_dtype": "bfloat16"})
    found = preview(model, EmbeddedSettings(8192))
    assert (found.dtype, found.kv_dtype, found.attention) == ("bfloat16", "bfloat16", None)
    assert found.kv_bytes_per_token == 23_040  # 2 · 30 layers · 3 KV heads · 64 · 2 bytes
    found = preview(model, EmbeddedSettings(8192, kv_dtype="fp8"))
    assert (found.dtype, found.kv_dtype, found.attention) == ("bfloat16", "fp8", "fathom")
    # 30 layers · 3 KV heads · (2 · 64 + 1 of the centre)
    assert (found.kv_block_tokens, found.kv_bytes_per_token) == (128, 11_610)


@pytest.mark.usefixtures("_gpu")
def test_on_a_gpu_the_fp8_cache_of_a_model_without_kernels_is_vllms() -> None:
    model = dataclasses.replace(MODEL, config={**CONFIG, "head_dim": 80})
    found = preview(model, EmbeddedSettings(8192, kv_dtype="fp8"))
    assert (found.kv_dtype, found.attention, found.kv_block_tokens) == ("fp8", None, None)
    assert found.kv_bytes_per_token == 2 * 30 * 3 * 80


@pytest.mark.usefixtures("_gpu")
def test_on_a_gpu_without_fp8_products_the_cache_is_vllms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda index: (8, 6))
    assert preview(MODEL, EmbeddedSettings(8192, kv_dtype="fp8")).attention is None


@pytest.mark.usefixtures("_no_gpu")
def test_a_cpu_keeps_float32_whatever_cache_is_asked_for() -> None:
    assert preview(MODEL, EmbeddedSettings(8192, kv_dtype="fp8")) == preview(MODEL, EmbeddedSettings(8192))


YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e5, "original_max_position_embeddings": 2048}
LLAMA3 = {**YARN, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.usefixtures("_no_gpu")
def test_a_model_that_its_config_stretches_says_so_but_for_scalings_that_were_trained() -> None:
    own = dataclasses.replace(MODEL, config={**CONFIG, "rope_parameters": YARN})
    assert preview(own, EmbeddedSettings(8192)).rope == RopeScaling("yarn", 4.0, 2048)
    trained = dataclasses.replace(MODEL, config={**CONFIG, "rope_parameters": LLAMA3})
    assert preview(trained, EmbeddedSettings(8192)).rope is None


@pytest.mark.usefixtures("_no_gpu")
def test_the_profile_beside_the_weights_tells_how_far_a_model_reads_reliably(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, folder=tmp_path, trusted=True)
    entries = [
        calibrated(None, 8192, "float32", 5000, "x"),
        calibrated(RopeScaling("yarn", 4.0, 8192), 8192, "float32", 9000, "x"),
    ]
    write_profile(tmp_path, entries)
    assert preview(model, EmbeddedSettings(8192)).reliable_tokens == 5000
    assert preview(model, EmbeddedSettings(20_000)).reliable_tokens == 9000
    assert preview(model, EmbeddedSettings(10_000)).reliable_tokens is None  # YaRN ×2, which was not measured


@pytest.mark.usefixtures("_no_gpu")
def test_the_profile_of_a_folder_that_was_received_is_not_believed(tmp_path: Path) -> None:
    write_profile(tmp_path, [calibrated(None, 8192, "float32", 5000, "x")])
    received = dataclasses.replace(MODEL, folder=tmp_path)
    assert preview(received, EmbeddedSettings(8192)).reliable_tokens is None


@pytest.mark.usefixtures("_gpu")
def test_a_profile_of_vllms_cache_is_not_one_of_fathoms(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, folder=tmp_path, trusted=True)
    write_profile(tmp_path, [calibrated(None, 8192, "fp8", 5000, "x"), calibrated(None, 8192, "fp8-fathom", 7000, "x")])
    assert preview(model, EmbeddedSettings(8192, kv_dtype="fp8")).reliable_tokens == 7000


@pytest.mark.usefixtures("_no_gpu")
def test_without_a_gpu_the_device_is_the_cpu() -> None:
    assert device_name() == CPU


@pytest.mark.usefixtures("_no_gpu")
def test_attention_that_the_arithmetic_does_not_know_leaves_the_cache_unsaid() -> None:
    found = preview(dataclasses.replace(MODEL, config={**CONFIG, "kv_lora_rank": 512}), EmbeddedSettings(8192))
    assert (found.kv_tokens, found.kv_bytes_per_token, found.max_model_tokens) == (None, None, 8192)


def test_a_need_beyond_the_reach_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ContextError, match="32,769 tokens are beyond the model's reach of 32,768"):
        EmbeddedEngine(MODEL, EmbeddedSettings(32_769), tmp_path / "engine.log")
    assert list(tmp_path.iterdir()) == []


def test_without_vllm_the_ways_out_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    heard: list[str] = []
    with pytest.raises(EngineStartError, match=r"^vLLM is not installed") as caught:
        EmbeddedEngine(MODEL, EmbeddedSettings(8192), tmp_path / "engine.log", heard.append)
    assert "fathom-rag[cpu]" in caught.value.hint
    assert "--engine URL" in caught.value.hint
    assert heard == []


def test_the_reason_of_a_failed_start_is_the_line_that_says_why() -> None:
    wrapped = "1 validation error for X\n  Value error, no room for 5 layers. [type=value_error]\n    For more: see\n"
    assert _reason(ValueError(wrapped)) == "no room for 5 layers."
    assert _reason(RuntimeError("first\nlast word\n")) == "last word"
    assert _reason(MemoryError()) == "MemoryError"


@pytest.mark.parametrize(
    ("cache", "attention"), [("auto", None), ("fp8", "CUSTOM"), ("fp8_e4m3", "CUSTOM"), ("fp8_e5m2", None)]
)
def test_on_a_gpu_an_fp8_cache_asks_for_fathoms_attention(cache: str, attention: str | None, tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, folder=tmp_path)
    engine = EmbeddedEngine.__new__(EmbeddedEngine)
    engine._plan = plan_context(CONFIG, 12_000)
    arguments = engine._arguments(model, EmbeddedSettings(12_000, kv_dtype=cache), gpu=True)
    assert (arguments.kv_cache_dtype, arguments.attention_backend) == (cache, attention)
    assert arguments.hf_overrides["max_position_embeddings"] == 16_384
    assert (arguments.max_model_len, arguments.max_num_batched_tokens) == (-1, 8192)
    on_cpu = engine._arguments(model, EmbeddedSettings(12_000, kv_dtype=cache), gpu=False)
    assert (on_cpu.kv_cache_dtype, on_cpu.attention_backend, on_cpu.dtype) == ("auto", None, "float32")


def test_a_configs_own_dynamic_scaling_is_not_run_beyond_its_positions(tmp_path: Path) -> None:
    config = {**CONFIG, "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}}
    engine = EmbeddedEngine.__new__(EmbeddedEngine)
    engine._plan = plan_context(config, 100)
    arguments = engine._arguments(ModelFiles("m", tmp_path, config), EmbeddedSettings(100), gpu=False)
    assert (arguments.max_model_len, arguments.hf_overrides) == (8192, {})


def test_the_prefix_cache_can_be_switched_off(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, folder=tmp_path)
    engine = EmbeddedEngine.__new__(EmbeddedEngine)
    engine._plan = plan_context(CONFIG, 100)
    for gpu in (True, False):
        for wanted, given in ((True, None), (False, False)):  # None: where vLLM can
            arguments = engine._arguments(model, EmbeddedSettings(100, prefix_cache=wanted), gpu)
            assert arguments.enable_prefix_caching is given


@pytest.mark.parametrize(
    ("cache", "device", "attention", "said"),
    [
        ("auto", "GPU 0", "FLASH_ATTN", None),
        ("fp8", "GPU 0", "fathom", None),
        ("fp8_e5m2", "GPU 0", "FLASH_ATTN", None),
        ("fp8", CPU, "CPU_ATTN", "an FP8 cache needs a GPU: the cache is float32"),
        (
            "fp8", "GPU 0", "FLASH_ATTN",
            "fathom's attention does not serve m: its FP8 cache is vLLM's own, engine.log says why",
        ),
    ],
)  # fmt: skip
def test_an_fp8_cache_that_is_not_fathoms_is_said(cache: str, device: str, attention: str, said: str | None) -> None:
    info = EngineInfo("m", "vllm", device, 8192, attention=attention)
    assert _other_cache(info, EmbeddedSettings(100, kv_dtype=cache), Path("engine.log")) == said

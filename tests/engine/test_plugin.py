"""How vLLM comes to know fathom's attention, and which models it is chosen for."""

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm.platforms.interface import DeviceCapability
from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend
from vllm.v1.attention.selector import AttentionSelectorConfig

from engine.attention import plugin, selection
from engine.attention.backend import FathomBackend
from engine.attention.selection import Selection


def test_the_package_tells_vllm_of_the_plugin() -> None:
    found = [point for point in entry_points(group="vllm.general_plugins") if point.name == "fathom"]
    assert [point.value for point in found] == ["engine.attention.plugin:register"]
    assert found[0].load() is plugin.register


def test_a_failure_is_logged_and_stops_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(plugin._log, "exception", said.append)
    monkeypatch.setitem(sys.modules, "vllm", None)
    plugin.register()
    assert said == ["fathom's attention could not be registered"]


@pytest.fixture
def custom() -> Iterator[AttentionBackendEnum]:
    """vLLM's name for backends from outside, free before and after."""
    member = AttentionBackendEnum.CUSTOM
    member.clear_override()
    yield member
    member.clear_override()


def test_the_plugin_registers_the_selection_as_often_as_it_is_called(custom: AttentionBackendEnum) -> None:
    for _ in range(2):
        plugin.register()
        assert custom.get_class() is Selection


def test_another_backends_name_is_not_taken(custom: AttentionBackendEnum, monkeypatch: pytest.MonkeyPatch) -> None:
    register_backend(custom, "somebody.Elses")
    said: list[str] = []
    monkeypatch.setattr(plugin._log, "warning", lambda text, *args: said.append(text % args))
    plugin.register()
    assert custom.get_path() == "somebody.Elses"
    assert said == [
        "the attention backend CUSTOM is somebody.Elses already: fathom's is not registered; VLLM_PLUGINS=fathom "
        "leaves other plugins out"
    ]


def test_another_version_of_vllm_is_left_alone(custom: AttentionBackendEnum, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("vllm.__version__", "0.33.1")
    monkeypatch.setattr(plugin._log, "info", lambda text, *args: said.append(text % args))
    monkeypatch.setitem(sys.modules, "vllm.v1.attention.backends.registry", None)  # may be elsewhere there
    plugin.register()
    assert not custom.is_overridden()
    assert said == ["fathom's attention is for vLLM 0.32, this is 0.33.1: not registered"]


LLAMA = {"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8}
SELECTOR: dict[str, Any] = {
    "head_size": 128, "dtype": torch.bfloat16, "kv_cache_dtype": "fp8", "block_size": None,
}  # fmt: skip


class Platform:
    """vLLM's platform of a GPU, as far as the selection asks it; it knows one backend that serves everything."""

    def __init__(self, candidates: bool = True) -> None:
        self.candidates = candidates
        self.asked: list[AttentionSelectorConfig] = []

    def get_valid_backends(self, device_capability: Any, attn_selector_config: AttentionSelectorConfig) -> Any:
        self.asked.append(attn_selector_config)
        backend = SimpleNamespace(full_cls_name=lambda: ("vllm.flash", "FlashAttentionBackend"))
        found = [SimpleNamespace(backend_class=backend, backend=AttentionBackendEnum.FLASH_ATTN, priority=0)]
        return (found, {}) if self.candidates else ([], {AttentionBackendEnum.FLASH_ATTN: (0, ["too old"])})


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the selection logs; it knows no model before and after."""
    heard: list[str] = []
    monkeypatch.setattr(selection._log, "warning", heard.append)
    Selection.forget()
    yield heard
    Selection.forget()


def _model(**changes: Any) -> Any:
    """vLLM's configuration of a model, as far as the selection reads it."""
    config = {**LLAMA, **changes}
    sizes = SimpleNamespace(
        total_num_attention_heads=config["num_attention_heads"], total_num_kv_heads=config["num_key_value_heads"],
        head_size=config.get("head_dim", 128), per_layer_overrides=config.pop("overrides", None),
    )  # fmt: skip
    model = SimpleNamespace(hf_text_config=SimpleNamespace(to_dict=lambda: config), model_arch_config=sizes)
    cache = SimpleNamespace(kv_cache_dtype_skip_layers=config.pop("skipped", []))
    return SimpleNamespace(model_config=model, cache_config=cache)


def _select(
    monkeypatch: pytest.MonkeyPatch, config: Any, capability: tuple[int, int] = (9, 0),
    platform: Platform | None = None, **selector: Any,
) -> tuple[list[str], tuple[str, str]]:  # fmt: skip
    """Reasons of refusal and the class that vLLM would load for one layer."""
    monkeypatch.setattr(selection, "get_current_vllm_config", lambda: config)
    monkeypatch.setattr(selection, "current_platform", platform or Platform())
    wanted = AttentionSelectorConfig(**{**SELECTOR, **selector})
    reasons = Selection.validate_configuration(DeviceCapability(*capability), **wanted._asdict())
    return reasons, Selection.full_cls_name()


def test_a_model_that_fits_gets_fathoms_backend(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    model = _model()
    assert _select(monkeypatch, model) == ([], ("engine.attention.backend", "FathomBackend"))
    assert _select(monkeypatch, model, has_sliding_window=True)[1][1] == "FathomBackend"
    assert said == []


@pytest.mark.parametrize(
    ("changes", "selector", "capability", "why"),
    [
        ({"kv_lora_rank": 512}, {}, (9, 0), "latent attention (MLA)"),
        ({"overrides": [{}, {"head_size": 512}]}, {}, (9, 0), "layers of different sizes"),
        ({"skipped": ["0"]}, {}, (9, 0), "some layers are to keep 16 bits"),
        ({}, {"kv_cache_dtype": "auto"}, (9, 0), "kv_cache_dtype not supported"),
        ({}, {"kv_cache_dtype": None}, (9, 0), "kv_cache_dtype not supported"),
        ({}, {"has_sink": True}, (9, 0), "attention sinks not supported"),
        ({}, {"block_size": 16}, (9, 0), "block_size not supported"),
        ({}, {"dtype": torch.float32}, (9, 0), "dtype not supported"),
        ({}, {"use_dcp": True}, (9, 0), "DCP not supported"),
        ({}, {}, (8, 6), "compute capability not supported"),
    ],
)
def test_what_does_not_fit_gets_vllms_own_choice_and_the_log_says_why(
    changes: dict[str, Any], selector: dict[str, Any], capability: tuple[int, int], why: str,
    monkeypatch: pytest.MonkeyPatch, said: list[str],
) -> None:  # fmt: skip
    model = _model(**changes)
    assert _select(monkeypatch, model, capability, **selector) == ([], ("vllm.flash", "FlashAttentionBackend"))
    # a layer that would fit alone goes with the others
    assert _select(monkeypatch, model) == ([], ("vllm.flash", "FlashAttentionBackend"))
    assert said == [f"fathom's attention does not serve this model ({why}): vLLM's FLASH_ATTN does"]


def test_a_layer_that_does_not_fit_a_model_begun_is_an_error(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    model = _model()
    assert _select(monkeypatch, model)[0] == []
    reasons, _ = _select(monkeypatch, model, has_sink=True)
    assert reasons[0] == "attention sinks not supported"
    assert "take another --attention-backend" in reasons[-1]
    assert _select(monkeypatch, _model(), has_sink=True)[0] == []  # another model in the same process
    assert len(said) == 1


def test_where_nobody_serves_all_reasons_are_given(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    reasons, _ = _select(monkeypatch, _model(kv_lora_rank=512), platform=Platform(candidates=False))
    assert reasons == ["latent attention (MLA)", "FLASH_ATTN: too old"]
    assert said == []


def test_capabilities_from_ada_on_are_served() -> None:
    served = [(8, 9), (9, 0), (10, 0), (12, 0)]
    assert all(FathomBackend.supports_compute_capability(DeviceCapability(*pair)) for pair in served)
    assert not FathomBackend.supports_compute_capability(DeviceCapability(8, 6))

"""How vLLM comes to know fathom's attention, and which models it is chosen for."""

from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest
from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

from engine.attention import plugin
from engine.attention.selection import Selection


def test_the_package_tells_vllm_of_the_plugin() -> None:
    found = [point for point in entry_points(group="vllm.general_plugins") if point.name == "fathom"]
    assert [point.value for point in found] == ["engine.attention.plugin:register"]
    assert found[0].load() is plugin.register


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
    monkeypatch.setattr(plugin._log, "warning", lambda text, *args: said.append(text % args))
    plugin.register()
    assert not custom.is_overridden()
    assert said == ["fathom's attention is for vLLM 0.32, this is 0.33.1: not registered"]

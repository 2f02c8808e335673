"""Devices by name, and the cache that an H200 was seen to hold."""

import pytest

from engine.devices import DEVICES, RESERVE_BYTES, device
from engine.errors import EngineStartError


def test_names_are_found_in_any_case() -> None:
    assert device("h200") is device("H200") is DEVICES["h200"]


def test_an_unknown_gpu_is_refused_with_those_there_are() -> None:
    with pytest.raises(EngineStartError, match="no data sheet of a GPU 'h900'") as caught:
        device("h900")
    assert "H200" in caught.value.hint
    assert "--memory-gib" in caught.value.hint


def test_rates_grow_with_the_number_of_gpus() -> None:
    one, two = device("h100").ceilings(), device("h100").ceilings(2)
    assert two.matrix_flops == 2 * one.matrix_flops
    assert two.memory_bytes_per_s == 2 * one.memory_bytes_per_s
    assert one.matrix_flops < 989e12
    assert 0 < RESERVE_BYTES < 10e9

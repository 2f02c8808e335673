"""Devices by name, and the cache that an H200 was seen to hold."""

import pytest

from engine.errors import DeviceError
from engine.estimates.devices import DEVICES, RESERVE_BYTES, device, known_device


def test_names_are_found_in_any_case() -> None:
    assert device("h200") is device("H200") is DEVICES["h200"]


def test_an_unknown_gpu_is_refused_with_those_there_are() -> None:
    with pytest.raises(DeviceError, match="no data sheet of a GPU 'h900'") as caught:
        device("h900")
    assert "H200" in caught.value.hint
    assert "--memory-gib" in caught.value.hint


def test_rates_grow_with_the_number_of_gpus() -> None:
    one, two = device("h100").ceilings(), device("h100").ceilings(2)
    assert two.matrix_flops == 2 * one.matrix_flops
    assert two.memory_bytes_per_s == 2 * one.memory_bytes_per_s
    assert one.matrix_flops < 989e12
    assert 0 < RESERVE_BYTES < 10e9


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100-PCIE-40GB", "A100-40GB"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA GH200 480GB", None),
        ("Tesla T4", None),
    ],
)
def test_drivers_names_are_understood_whole(driver: str, name: str | None) -> None:
    found = known_device(driver)
    assert (found.name if found else None) == name

"""The attention benchmark's arithmetic and its words; its speeds need a GPU."""

import importlib
from types import ModuleType

import pytest


@pytest.fixture
def bench() -> ModuleType:
    """Imported when a test runs: the kernels must be defined first by their own tests, for the interpreter."""
    return importlib.import_module("evals.bench.attention.__main__")


@pytest.fixture
def cases() -> ModuleType:
    return importlib.import_module("evals.bench.attention.cases")


def test_operations_are_those_under_the_diagonal(cases: ModuleType) -> None:
    # 2 queries after 2 tokens see 3 and 4 keys: by area 2 · 4 − 2² / 2 = 6 pairs; 4 · 3 heads · 64 each
    assert cases.one_length("", (3, 1), 64, 2, 4).flops == 4 * 3 * 64 * 6


def test_bytes_are_keys_and_values_once(cases: ModuleType) -> None:
    assert cases.one_length("", (8, 2), 64, 1, 10, 3).fp8_bytes == 2 * 2 * 64 * 30


def test_block_tables_name_each_sequences_pages_in_order(cases: ModuleType) -> None:
    import torch

    keys = torch.zeros(384, 1, 64)
    problem = cases.Problem(torch.zeros(2, 1, 64), keys, keys, [0, 256], [1, 1], [200, 100], 1.0)
    assert problem.tables(64).tolist() == [[0, 1, 2, 3], [4, 5, 5, 5]]
    assert problem.query_starts().tolist() == [0, 1, 2]


def test_queries_without_the_bias_do_not_see_it(bench: ModuleType, cases: ModuleType) -> None:
    import torch

    bias = 50.0 * torch.randn(1, 2, 64)
    keys = torch.randn(256, 2, 64) + bias
    problem = cases.Problem(torch.randn(5, 4, 64), keys, keys, [0], [5], [256], 1.0)
    bench.without_bias(problem)
    mean = keys.mean(0).repeat_interleave(2, 0)
    assert (problem.query * mean).sum(-1).abs().max() < 1e-2


def test_contenders_saturate_as_a_cache_write_does() -> None:
    import torch

    from evals.bench.attention.peers import to_fp8

    assert to_fp8(torch.tensor([1e4, -500.0, 1.5])).float().tolist() == [448.0, -448.0, 1.5]


def test_ratios_are_of_the_best_page_size_each(bench: ModuleType, cases: ModuleType) -> None:
    case = cases.one_length("8K", (32, 8), 128, 8192, 8192)
    ms = case.flops / 1e9 / 1000  # the time at 1,000 TFLOP/s
    times = {"ours 128": ms, "ours 64": 2 * ms, "FA3 FP8 64": 4 * ms, "FA3 FP8 128": 2 * ms}
    text = bench.section_text("prefill", [case], [("8K", times)], {"fp8_tflops": 1250.0})
    assert "| 8K | 1000 | 500 | 250 | 500 |" in text
    assert "| 8K | 2.00 | 0.80 |" in text


@pytest.mark.parametrize(
    ("errors", "missing", "beside", "fault"),
    [
        ({"ours 128": 0.003, "FA3 FP8 64": 0.003}, {}, True, None),
        ({"ours 128": 0.004, "FA3 FP8 64": 0.002}, {}, True, "ours 128 0.0040, limit 0.0021"),
        ({"ours 128": 0.004, "FA3 FP8 64": 0.003}, {}, False, None),
        ({"ours 128": 0.009, "FA3 FP8 64": 0.4}, {}, True, None),
        ({"ours 64": 0.011}, {}, True, "ours 64 0.0110, limit 0.0100"),
        ({"ours 64": float("nan")}, {}, False, "ours 64 nan, limit 0.0100"),
        ({}, {"portable 128": "RuntimeError: x"}, True, "portable 128 did not run: RuntimeError: x"),
        ({}, {"FA3 FP8 64": "ImportError: vllm"}, True, None),
    ],
)
def test_the_gate_is_shut_by_errors_and_absences_of_ours(
    bench: ModuleType, errors: dict[str, float], missing: dict[str, str], beside: bool, fault: str | None
) -> None:
    assert bench.faults_of("case", errors, missing, beside) == ([f"case: {fault}"] if fault else [])


def test_a_missing_contender_leaves_its_cell_empty(bench: ModuleType) -> None:
    text = bench.table("Speeds", ["a", "b"], [("one", {"a": 1.0}), ("two", {"a": 2.0, "b": 3.0})], ".1f")
    assert text.splitlines()[-2:] == ["| one | 1.0 |  |", "| two | 2.0 | 3.0 |"]


def test_the_picture_shows_both_rates_over_the_context(cases: ModuleType) -> None:
    from evals.bench.attention.plot import draw

    report = {
        "device": "some GPU",
        "context": {"commit": "abc1234"},
        "prefill": {case.name: {"ours 128": 1.0, "FA3 FP8 64": 2.0} for case in cases.PREFILL},
        "decode": {case.name: {"ours 128": 1.0} for case in cases.DECODE},
    }
    picture = draw(report)
    assert picture.startswith("<svg")
    assert "Prefill" in picture
    assert "Decode" in picture
    assert picture.count("ours 128") == 2
    assert picture.count("FA3 FP8 64") == 1


def test_without_a_gpu_the_benchmark_says_so(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["attention"])
    assert bench.main() == 2
    assert "no GPU here" in capsys.readouterr().err

"""The programs that compare KV caches: what they hide, replay and print, without a GPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.attention.fit import misfits
from engine.kv.geometry import kv_bytes_per_token
from evals.bench.serving import __main__ as bench
from evals.bench.serving import replay
from evals.bench.serving import servers as serving
from evals.bench.serving.servers import LLAMA_8B, dummy_model, run_children
from evals.scorers.token_ids import agreement
from evals.tasks.kv_cache import hidden
from evals.tasks.kv_cache import tables as accuracy_tables


@given(st.integers(5, 300), st.floats(0, 1), st.integers(1, 5))
def test_a_needle_is_whole_and_the_text_as_long_as_asked(tokens: int, depth: float, size: int) -> None:
    straw, needle = list(range(1000)), [-1] * size
    text = hidden(straw, needle, tokens, depth)
    place = text.index(-1)
    assert len(text) == tokens
    assert text[place : place + size] == needle
    assert text[:place] + text[place + size :] == straw[: tokens - size]
    assert abs(place - depth * (tokens - size)) <= 0.5


def test_a_needle_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="3 tokens hold no needle"):
        hidden([0] * 10, [1] * 4, 3, 0.5)


def test_agreement_by_hand() -> None:
    assert agreement([[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 2, 3, 4], [5, 6, 9, 8]]) == (0.5, 6 / 8)
    assert agreement([[1, 2]], [[1]]) == (0.0, 0.5)


def test_a_day_is_the_same_each_time_mostly_short_and_shares_its_beginnings() -> None:
    text = list(range(200_000))
    day = replay.requests(text, 500)
    assert day == replay.requests(text, 500)
    assert day != replay.requests(text, 500, seed=1)
    lengths = sorted(len(request.prompt) for request in day)
    assert lengths[0] >= replay.SHORTEST
    assert lengths[-1] <= replay.LONGEST
    # half of a density that falls with the square lies under 2 / (1/1,000 + 1/60,000) = 1,967
    assert 1_700 < lengths[250] < 2_250
    begins = [request.prompt[0] for request in day]
    repeated = sum(begins.count(begin) > 1 for begin in begins)
    assert 200 < repeated < 300
    cancelled = sum(request.cancelled_after is not None for request in day)
    assert 25 < cancelled < 60


def test_a_text_too_short_for_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="1000 tokens of text: 120000 are needed"):
        replay.requests([0] * 1000, 10)


def test_the_dummy_model_has_the_sizes_it_says_and_fits_the_kernels(tmp_path: Path) -> None:
    config = json.loads((dummy_model(tmp_path / "m") / "config.json").read_text(encoding="utf-8"))
    assert config == LLAMA_8B
    assert misfits(config) == []
    assert kv_bytes_per_token(config, "bfloat16") == 131_072
    assert kv_bytes_per_token(config, "fp8", centred_page=128) == 66_048


def test_a_child_that_fails_is_told_with_the_end_of_its_output() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)one ended with 1:.*No module named"):
        run_children("evals.no_such_module", {"one": {}})


def test_results_of_children_come_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "echo_job.py"
    program.write_text("import sys, shutil\nshutil.copy(sys.argv[2], sys.argv[3])\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    jobs = {"a b": {"x": 1}, "c/d": {"x": 2}}
    for together in (False, True):
        assert run_children("echo_job", jobs, together) == jobs


@pytest.mark.parametrize("module", ["evals.tasks.kv_cache", "evals.bench.serving.replay"])
def test_a_folder_without_the_data_is_refused(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path), "--model", "m"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "give the folder of the data sets" in done.stderr


def _served(ttft: float, decode: dict[str, float], name: str) -> dict[str, Any]:
    return {
        "ttft_s": {"2048": [ttft, 9.0, ttft]}, "decode": decode, "attention": [name], "page": 128, "tokens": 1280,
        "bytes": 12_800, "start_s": 31.4,
    }  # fmt: skip


def test_the_table_of_speeds_compares_with_the_better_of_the_stock() -> None:
    results = {
        "bf16": _served(0.5, {"2048 x1": 100.0}, "FLASH_ATTN"),
        "FP8": _served(0.4, {"2048 x1": 90.0, "2048 x8": 300.0}, "FLASH_ATTN"),
        "fathom": _served(0.3, {"2048 x1": 120.0, "2048 x8": 450.0}, "CUSTOM"),
    }
    lines = bench.tables(results)
    assert "| 2,048 tokens | 0.5 | 0.4 | 0.3 | 0.750 | 0.750 |" in lines
    assert "| 2,048 × 1 | 100 | 90 | 120 | 1.333 | 1.200 |" in lines
    assert "| 2,048 × 8 | – | 300 | 450 | 1.500 | 1.500 |" in lines
    assert "| fathom | CUSTOM | 128 | 1,280 | 0.0 | 10 | 31 |" in lines


def test_the_tables_of_accuracy() -> None:
    results = {
        "bf16": {"needles": {"8192": [True, True]}, "nll": {"8192": [1.0, 2.0]}, "answers": [[1, 2], [3, 4]]},
        "fathom": {"needles": {"8192": [True, False]}, "nll": {"8192": [1.1, 2.0]}, "answers": [[1, 2], [3, 5]]},
    }
    lines = accuracy_tables(results)
    assert "| 8,192 tokens | 2 of 2 | 1 of 2 |" in lines
    # differences 0.1 and 0: mean 0.05, standard error 0.0707 / √2
    assert "| 2 windows of 8,192 | 1.5000 (+0.0000 ± 0.0000) | 1.5500 (+0.0500 ± 0.0500) |" in lines
    assert "| fathom, 2 questions | 50% | 75.0% |" in lines


def test_the_table_of_a_day_refuses_runs_that_answered_different_requests() -> None:
    run = {
        "prompt_tokens": 10, "cached_tokens": 2, "cancelled": 1, "preemptions": 3, "blocks_left": 9, "blocks": 10,
        "seconds": 61.0, "written": {"0": [1, 2], "1": [3, 4]},
    }  # fmt: skip
    other = {**run, "written": {"0": [1, 2], "1": [3, 5]}}
    results = {"bf16 together": run, "bf16 alone": run, "fathom together": other, "fathom alone": run}
    lines = replay.table(results)
    assert "| fathom together | 10 | 2 | 1 | 3 | 9 of 10 | 61 |" in lines
    assert "| fathom | 2 | 50.0% | 75.0% |" in lines
    assert "| bf16 | 2 | 100.0% | 100.0% |" in lines
    with pytest.raises(RuntimeError, match=r"fathom: requests \['1'\] were answered in one run only"):
        replay.table({**results, "fathom together": {**run, "written": {"0": [1, 2]}}})


def test_contenders_differ_in_their_cache_alone() -> None:
    assert {key for options in serving.CONTENDERS.values() for key in options} == {
        "kv_cache_dtype",
        "attention_backend",
    }


def test_a_report_prints_its_origin_and_keeps_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    serving.report(["| a |"], {"x": 1}, {"model": "m"}, "abc1234", tmp_path / "out.json")
    printed = capsys.readouterr().out.splitlines()
    kept = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert printed[0] == "| a |"
    assert "'commit': 'abc1234'" in printed[1]
    assert (kept["results"], kept["job"], kept["context"]["commit"]) == ({"x": 1}, {"model": "m"}, "abc1234")

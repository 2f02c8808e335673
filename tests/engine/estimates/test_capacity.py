"""What fits, by hand, and the whole command."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ContextError, EstimateError, ModelDamagedError
from engine.estimates.capacity import COMPARED, Capacity, Room, capacity
from engine.estimates.cost import Ceilings
from engine.estimates.devices import RESERVE_BYTES, device
from pipeline.cli.render_capacity import capacity_lines, capacity_plot
from tests.support.commands import run

LLAMA_8B = {
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096,
    "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072, "rope_theta": 500000.0,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192,
                     "low_freq_factor": 1.0, "high_freq_factor": 4.0},
}  # fmt: skip
TINY = {
    "num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 64, "intermediate_size": 64, "vocab_size": 100,
    "max_position_embeddings": 1000, "tie_word_embeddings": True,
}  # fmt: skip


def _h200(**change: Any) -> Room:
    gpu = device("h200")
    return Room(**{"name": "H200", "memory_bytes": gpu.memory_bytes, "utilization": 0.92, **change})


def test_an_h200_holds_what_vllm_reported_there() -> None:
    # docs/results.md: 897,984 tokens of bf16, 1,782,656 of fathom's pages, with Llama-3.1-8B's sizes and 0.92
    found = capacity("m", LLAMA_8B, _h200(), ("bfloat16", "fp8", "fp8_e4m3"), (1024,))
    for row, reported in zip(found.rows, (897_984, 1_782_656, 1_795_984), strict=True):
        assert found.cache_bytes / row.bytes_per_token == pytest.approx(reported, rel=0.01)


def test_a_tiny_model_by_hand() -> None:
    # q, k, v, o 64 · 64 each; three products of 64 · 64; 100 · 64 of embedding, tied: 35,072 numbers of 2 bytes
    room = Room("mine", RESERVE_BYTES + 70_144 + 256 * 16 * 10, 1.0, ceilings=Ceilings(1e9, 1e9, 1e6))
    found = capacity("m", TINY, room, ("bfloat16",), (16, 33, 160, 161))
    assert found.weight_bytes == 70_144
    assert found.cache_bytes == 256 * 160
    (row,) = found.rows
    assert row.bytes_per_token == 2 * 64 * 2
    assert [fit.at_once for fit in row.fits] == [10, 3, 1, 0]  # 1, 3, 10 and 11 of ten pages of 16
    assert row.longest_tokens == 160
    first = row.fits[0]
    # 2 · 28,672 · 16 + 2 · 6,400 of products; 136 pairs · 128 numbers · 2
    assert first.first_token_s == pytest.approx((930_304 + 34_816) / 1e9)
    assert first.decode_tokens_s == pytest.approx(1e6 / (70_144 + 4096))
    assert first.decode_all_tokens_s == pytest.approx(10 * 1e6 / (70_144 + 40_960))
    assert row.fits[-1].first_token_s is None
    # the longest, 11 pages, takes the memory of one chunked question, which is cut to the model's 1,000 tokens (63)
    assert (found.displaced, found.displaced_by_tokens) == (0, 161)


def test_gpus_share_weights_and_heads() -> None:
    one, two = capacity("m", LLAMA_8B, _h200()), capacity("m", LLAMA_8B, _h200(gpus=2))
    assert two.weight_bytes == one.weight_bytes // 2
    assert [row.bytes_per_token for row in two.rows] == [row.bytes_per_token // 2 for row in one.rows]


def test_a_window_keeps_the_step_that_is_read_beside_it() -> None:
    # 15 tokens before the step and 8,192 of it: 513 pages of 16, and one more as a window begins anywhere
    windowed = {**TINY, "max_position_embeddings": 200_000, "layer_types": ["sliding_attention"], "sliding_window": 16}
    page = 256 * 16
    room = Room("mine", RESERVE_BYTES + 70_144 + page * 514 * 3, 1.0)
    (row,) = capacity("m", windowed, room, ("bfloat16",), (100, 100_000)).rows
    assert [fit.at_once for fit in row.fits] == [514 * 3 // 7, 3]


@pytest.mark.parametrize(
    ("room", "dtypes", "contexts", "error", "said"),
    [
        (_h200(), ("int5",), (), EstimateError, "no cache dtype 'int5'"),
        (_h200(), (), (), EstimateError, "hold nothing"),
        (_h200(gpus=0), COMPARED, (), EstimateError, "0 GPUs"),
        (_h200(memory_bytes=0), COMPARED, (), EstimateError, "hold nothing"),
        (_h200(utilization=1.1), COMPARED, (), EstimateError, r"1\.1 hold nothing"),
        (_h200(utilization=0.0), COMPARED, (), EstimateError, "hold nothing"),
        (_h200(), COMPARED, (0,), EstimateError, "a context of 0 tokens"),
        (_h200(), COMPARED, (131_073,), ContextError, "131,073 tokens are beyond the model's reach of 131,072"),
        (_h200(memory_bytes=2**34), COMPARED, (), ContextError, r"16\.1 GB of weights and 4\.3 GB for vLLM"),
    ],
)
def test_what_cannot_be_is_refused_with_its_numbers(
    room: Room, dtypes: tuple[str, ...], contexts: tuple[int, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        capacity("m", LLAMA_8B, room, dtypes, contexts)


def test_a_config_without_sizes_is_named() -> None:
    with pytest.raises(ModelDamagedError, match="num_hidden_layers = None"):
        capacity("m", {"max_position_embeddings": 100}, _h200())


def _lines(found: Capacity) -> str:
    return "\n".join(capacity_lines(found))


def test_the_table_tells_what_a_long_request_displaces() -> None:
    found = capacity("llama", LLAMA_8B, _h200(ceilings=device("h200").ceilings()))
    text = _lines(found)
    assert "llama on H200: 16.1 GB of weights, 117.7 GB for the KV cache" in text
    assert "A request of 131,072 tokens takes 17.18 GB and displaces 32 chunked questions of 4,096." in text
    assert "seconds to the first token" in text
    assert all(row.dtype in text for row in found.rows)
    assert "seconds" not in _lines(capacity("llama", LLAMA_8B, _h200()))
    small = capacity("llama", LLAMA_8B, _h200(memory_bytes=25 * 10**9))
    assert "it does not fit." in _lines(small)


def test_states_and_shares_are_told() -> None:
    mixed = {
        **TINY, "num_hidden_layers": 2, "layer_types": ["mamba", "full_attention"], "mamba_expand": 2,
        "mamba_d_state": 16, "mamba_d_conv": 4,
    }  # fmt: skip
    with pytest.raises(ModelDamagedError, match="known by its files alone"):
        capacity("m", mixed, _h200())
    assert "2 × H200" in _lines(capacity("m", LLAMA_8B, _h200(gpus=2)))


def test_states_of_a_model_with_files(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"x")
    mixed = {
        **TINY, "num_hidden_layers": 2, "layer_types": ["mamba", "full_attention"], "mamba_expand": 2,
        "mamba_d_state": 16, "mamba_d_conv": 4,
    }  # fmt: skip
    found = capacity("m", mixed, _h200(ceilings=device("h200").ceilings()), folder=tmp_path)
    assert found.state_bytes == (128 * 3 + 128 * 16) * 2
    assert "of state a request" in _lines(found)
    assert found.rows[0].fits[0].first_token_s is None


def test_the_picture_has_a_panel_of_each() -> None:
    svg = capacity_plot(capacity("llama", LLAMA_8B, _h200(ceilings=device("h200").ceilings())))
    for title in ("Requests at once", "GB of a request", "Seconds to the first token", "Tokens a second"):
        assert title in svg


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_8B), encoding="utf-8")
    return path


def test_the_command_prints_one_object(config_file: Path) -> None:
    done = run("budget", str(config_file), "--gpu", "h200", "--context", "4096", "--kv-dtype", "fp8", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["dtype"] for row in found["rows"]] == ["fp8"]
    assert [fit["tokens"] for fit in found["rows"][0]["fits"]] == [4096]
    assert found["rows"][0]["bytes_per_token"] == 66_048


def test_the_command_draws(config_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.svg"
    done = run("budget", str(config_file), "--memory-gib", "80", "--plot", str(target))
    assert done.exit_code == 0, done.stderr
    assert "on a GPU of 80 GiB" in done.stdout
    assert target.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--gpu", "h900"], 1, "no data sheet of a GPU 'h900'"),
        (["--gpu", "h200", "--kv-dtype", "int5"], 2, "there is no cache dtype 'int5'"),
        (["--gpu", "h200", "--gpus", "0"], 2, "0 GPUs"),
        (["--gpu", "h200", "--context", "1000000"], 1, "beyond the model's reach"),
        (["--memory-gib", "inf"], 2, "inf GiB is no GPU's memory"),
        (["--memory-gib", "nan"], 2, "nan GiB is no GPU's memory"),
        ([], 2, "there is no GPU here"),
    ],
)
def test_bad_options_end_with_the_next_step(config_file: Path, arguments: list[str], code: int, said: str) -> None:
    done = run("budget", str(config_file), *arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert "→" in done.stderr

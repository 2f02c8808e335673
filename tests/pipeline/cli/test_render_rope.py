"""`fathom rope show`: what it tells, draws, emits and refuses."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import run

PLAIN = {"max_position_embeddings": 8192, "hidden_size": 256, "num_attention_heads": 4, "rope_theta": 100000.0}
YARN = {**PLAIN, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}}


@pytest.fixture
def show(tmp_path: Path) -> Any:
    def _show(config: dict[str, Any], *arguments: str) -> Any:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return run("rope", "show", str(path), *arguments)

    return _show


def test_a_plain_model_is_told_as_trained(show: Any) -> None:
    done = show(PLAIN)
    assert done.exit_code == 0, done.stderr
    assert "trained for 8,192 tokens, base 100,000, 32 pairs of a head turn" in done.stdout
    assert "not scaled" in done.stdout


def test_a_scaling_is_told_with_its_settings(show: Any) -> None:
    done = show(PLAIN, "--scale", "4")
    assert "yarn ×4 from 8,192 reaches 32,768 tokens; cos and sin × 1.139" in done.stdout
    # Pairs of over 8,192 tokens a turn: 2π · 100000^(i / 32) > 8192 from i = 20 on; 12 of 32.
    assert "pairs with angles that training never showed: 12 without it, 0 with it" in done.stdout
    for engine in ("vllm:", "hf:", "llama.cpp:"):
        assert engine in done.stdout


def test_one_engines_settings_are_printed_alone(show: Any) -> None:
    words = shlex.split(show(PLAIN, "--scale", "2", "--emit", "vllm").stdout)
    assert words[:2] == ["vllm", "serve"]
    overrides = json.loads(words[words.index("--hf-overrides") + 1])
    assert overrides["rope_parameters"]["factor"] == 2.0
    found = json.loads(show(PLAIN, "--scale", "2", "--emit", "hf").stdout)
    assert found == overrides
    flags = shlex.split(show(PLAIN, "--scale", "2", "--emit", "llama.cpp").stdout)
    assert flags[flags.index("--rope-scale") + 1] == "2"
    assert json.loads(show(PLAIN, "--scale", "2", "--emit", "llama.cpp", "--json").stdout).keys() == {"llama.cpp"}


def test_json_has_every_pair(show: Any) -> None:
    found = json.loads(show(PLAIN, "--scale", "4", "--method", "linear", "--json").stdout)
    assert [pair["number"] for pair in found["pairs"]] == list(range(32))
    assert all(pair["wavelength"] == pytest.approx(4 * pair["trained_wavelength"]) for pair in found["pairs"])
    assert found["scaling"] == {"kind": "linear", "factor": 4.0, "original_tokens": 8192, "options": {}}
    assert found["untrained_without"] == 12


def test_a_models_own_scaling_is_shown_and_not_doubled(show: Any) -> None:
    done = show(YARN)
    assert "declares 8,192 tokens" in done.stdout
    assert "its own yarn ×4 from 2,048 reaches 8,192 tokens" in done.stdout
    again = show(YARN, "--scale", "2")
    assert again.exit_code == 1
    assert "already extended by yarn ×4 from 2,048 tokens, and is not extended twice" in again.stderr


def test_the_wavelengths_are_drawn(show: Any, tmp_path: Path) -> None:
    target = tmp_path / "rope.svg"
    assert show(PLAIN, "--scale", "4", "--plot", str(target)).exit_code == 0
    svg = target.read_text(encoding="utf-8")
    assert "yarn ×4" in svg
    assert "as trained" in svg


def test_longropes_factors_come_from_a_file(show: Any, tmp_path: Path) -> None:
    file = tmp_path / "factors.json"
    file.write_text(json.dumps({"short_factor": [1.0] * 32, "long_factor": [2.0] * 32}), encoding="utf-8")
    done = show(PLAIN, "--scale", "2", "--method", "longrope", "--factors", str(file), "--json")
    found = json.loads(done.stdout)
    assert found["pairs"][5]["wavelength"] == pytest.approx(2 * found["pairs"][5]["trained_wavelength"])
    assert "longrope" in found["unsaid"]["llama.cpp"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--scale", "0.5"], 1, "does not stretch"),
        (["--scale", "nan"], 1, "does not stretch"),
        (["--scale", "2", "--method", "longrope"], 1, "longrope needs long_factor, short_factor"),
        (["--scale", "2", "--method", "dynamic", "--emit", "llama.cpp"], 1, "no flags for dynamic"),
        (["--emit", "hf"], 1, "is not scaled"),
        (["--scale", "2", "--factors", "{missing}"], 2, "holds no factors of LongRoPE"),
        (["--scale", "2", "--factors", "{short}", "--method", "longrope"], 1, "long_factor has 1 factors"),
        (["--scale", "2", "--factors", "{short}"], 2, "belong to longrope, not to yarn"),
    ],
)
def test_what_cannot_be_shown_ends_with_the_next_step(
    show: Any, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    short = tmp_path / "short.json"
    short.write_text('{"short_factor": [1], "long_factor": [2]}', encoding="utf-8")
    given = [part.format(missing=tmp_path / "none.json", short=short) for part in arguments]
    done = show(PLAIN, *given)
    assert done.exit_code == code
    assert said in done.stderr
    assert "→" in done.stderr


def test_a_config_without_rotary_positions_is_named(show: Any) -> None:
    done = show({**PLAIN, "rope_theta": None})
    assert done.exit_code == 1
    assert "no rope_theta" in done.stderr


def test_a_file_that_is_no_config_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("[]", encoding="utf-8")
    done = run("rope", "show", str(path))
    assert done.exit_code == 1
    assert "is not a JSON object" in done.stderr

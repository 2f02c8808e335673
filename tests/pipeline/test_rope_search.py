"""`fathom rope search` with a small model: what it writes, goes on from, and refuses."""

import json
from pathlib import Path

import pytest

from tests.engine.rope.models import TEXT, make_model
from tests.support.commands import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make_model(folder)
    return folder


def _search(model: Path, folder: Path, *more: str) -> list[str]:
    text = folder / "text.txt"
    if not text.exists():
        text.write_text(TEXT, encoding="utf-8")
    options = ["--tokens", "128", "--generations", "2", "--model", str(model), "--out", str(folder / "f.json")]
    return ["rope", "search", str(text), *options, *more]


def test_factors_are_written_and_shown_and_the_next_run_begins_with_them(model: Path, tmp_path: Path) -> None:
    done = run(*_search(model, tmp_path, "--json"))
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    written = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert written == {"short_factor": [1.0] * 8, "long_factor": found["long_factor"]}
    assert found["long_factor"] == sorted(found["long_factor"])
    assert set(found["held_out"]) == set(found["searched_on"]) == {"linear", "ntk", "yarn", "longrope"}
    assert found["searched_on"]["longrope"] == min(found["searched_on"].values())
    again = json.loads(run(*_search(model, tmp_path, "--json")).stdout)
    assert again["searched_on"]["longrope"] <= found["searched_on"]["longrope"]
    shown = run(
        "rope", "show", str(model), "--scale", "4", "--method", "longrope", "--factors", str(tmp_path / "f.json")
    )
    assert shown.exit_code == 0, shown.stderr
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["f.json", "text.txt"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--windows", "1"], 2, "1 windows of 128 tokens"),
        (["--windows", "40"], 1, "the text has 600 tokens, and 40 windows of 128"),
        (["--scale", "0.5"], 1, "finds nothing"),
        (["--scale", "nan"], 1, "finds nothing"),
        (["--generations", "0"], 2, "in 0 generations"),
        (["--out", "{broken}"], 2, "holds no factors of LongRoPE"),
    ],
)
def test_what_cannot_be_searched_ends_with_the_next_step(
    model: Path, tmp_path: Path, more: list[str], code: int, said: str
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    done = run(*_search(model, tmp_path, *(part.format(broken=broken) for part in more)))
    assert done.exit_code == code
    assert said in done.stderr
    assert "→" in done.stderr


def test_a_search_that_stretches_nothing_ends_well(model: Path, tmp_path: Path) -> None:
    done = run(*_search(model, tmp_path, "--scale", "1", "--json"))
    assert done.exit_code == 0, done.stderr
    assert min(json.loads(done.stdout)["long_factor"]) >= 1.0


def test_a_text_that_is_none_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"\xff\xfe\x00")
    done = run(*_search(model, tmp_path))
    assert done.exit_code == 2
    assert "text.txt cannot be read" in done.stderr

"""The search for LongRoPE's factors: on a score whose best is known; likelihoods against transformers' own RoPE."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ContextError, ModelDamagedError, RopeError
from engine.rope.likelihood import TextLikelihood
from engine.rope.methods import Rotary
from engine.rope.scaling import RopeScaling
from engine.rope.search import STARTS, Factors, crossed, divisors, mutated, rising, search
from tests.engine.rope.models import TEXT, make_model

ROTARY = Rotary(10_000.0, 16)
LINE = tuple(1 + 0.4 * pair for pair in range(8))  # a straight line from 1 to 3.8


def _from_line(factors: Factors) -> float:
    return sum((found - wanted) ** 2 for found, wanted in zip(factors, LINE, strict=True))


def test_the_search_comes_nearer_to_a_known_best_than_where_it_began() -> None:
    heard: list[float] = []
    found = search(ROTARY, 4.0, 2048, _from_line, 30, 24, on_generation=lambda n, best, score: heard.append(score))
    assert found.score < 0.2 * min(found.starts.values())
    assert set(found.starts) == set(STARTS)
    assert heard == sorted(heard, reverse=True)
    assert found.score == heard[-1] == _from_line(found.factors)
    assert found.factors == rising(found.factors)


def test_without_a_generation_the_best_start_is_found() -> None:
    found = search(ROTARY, 4.0, 2048, _from_line, generations=0)
    assert found.score == min(found.starts.values())
    assert found.scored == 3


def test_the_same_seed_finds_the_same_and_an_earlier_best_is_never_lost() -> None:
    first = search(ROTARY, 4.0, 2048, _from_line, 5, 8, seed=3)
    assert search(ROTARY, 4.0, 2048, _from_line, 5, 8, seed=3) == first
    later = search(ROTARY, 4.0, 2048, _from_line, 1, 8, seed=4, known=[first.factors])
    assert later.score <= first.score


@pytest.mark.parametrize(("factor", "population", "known"), [(0.5, 8, []), (4.0, 3, []), (4.0, 8, [(1.0, 2.0)])])
def test_a_search_that_cannot_be_is_refused(factor: float, population: int, known: list[Factors]) -> None:
    with pytest.raises(RopeError) as caught:
        search(ROTARY, factor, 2048, _from_line, population=population, known=known)
    assert caught.value.hint


@given(st.lists(st.floats(0.1, 9.0), min_size=8, max_size=8).map(tuple), st.integers(0, 1000), st.floats(1.0, 8.0))
def test_children_never_fall_and_stay_in_their_range(factors: Factors, seed: int, factor: float) -> None:
    parent = rising(tuple(min(value, factor * 1.25) for value in factors))
    chance = random.Random(seed)
    for child in (mutated(parent, factor, chance), crossed(parent, rising((1.0,) * 8), chance)):
        assert len(child) == 8
        assert child == rising(child)
        assert min(child) >= 1.0
        assert max(child) <= factor * 1.25 + 0.01


def test_divisors_of_the_methods_by_hand() -> None:
    assert divisors(ROTARY, RopeScaling("linear", 4.0, 2048)) == (4.0,) * 8
    ntk = divisors(ROTARY, RopeScaling("ntk", 4.0, 2048))
    assert ntk[0] == 1.0
    assert ntk[-1] == pytest.approx(4.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("model")
    return folder, make_model(folder)


def test_likelihoods_are_those_of_transformers_with_the_same_factors(model: tuple[Path, dict[str, Any]]) -> None:
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder, config = model
    factors = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    options = {"short_factor": (1.0,) * 8, "long_factor": factors}
    scaling = RopeScaling("longrope", 4.0, 64, options)
    text = TextLikelihood(folder, config, TEXT, 256, 2)
    theirs = LlamaForCausalLM.from_pretrained(
        folder, max_position_embeddings=256,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64,
            "short_factor": [1.0] * 8, "long_factor": list(factors),
        },
    ).eval()  # fmt: skip
    ids = torch.tensor([AutoTokenizer.from_pretrained(folder).encode(TEXT)[:256]])
    with torch.no_grad():
        expected = float(theirs(ids, labels=ids).loss)
    assert text.nats(factors, scaling, slice(0, 1)) == pytest.approx(expected, rel=1e-4)
    assert text.nats((1.0,) * 8, None, slice(0, 1)) != pytest.approx(expected, rel=1e-4)
    both = (text.nats(factors, scaling, slice(0, 1)) + text.nats(factors, scaling, slice(1, 2))) / 2
    assert text.nats(factors, scaling) == pytest.approx(both)


def test_a_text_too_short_and_a_folder_without_weights_are_named(
    model: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, config = model
    with pytest.raises(ContextError, match="the text has 600 tokens, and 3 windows of 256"):
        TextLikelihood(folder, config, TEXT, 256, 3)
    with pytest.raises(ModelDamagedError, match="cannot be read"):
        TextLikelihood(tmp_path, config, TEXT, 256, 1)

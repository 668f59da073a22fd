"""Choosing tokens: transformers' probabilities, drawn as often as they say, the same again for a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.sampling import Sampling, choose, probabilities

pytestmark = pytest.mark.traced

LOGITS = (3 * np.random.default_rng(5).standard_normal(40)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.4, 1e-6])
def test_probabilities_are_those_of_transformers(temperature: float, top_p: float) -> None:
    scores = torch.from_numpy(LOGITS.astype(np.float64))[None]
    scores = TemperatureLogitsWarper(temperature)(None, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    expected = torch.softmax(scores, -1)[0].numpy()
    found = probabilities(LOGITS, Sampling(temperature=temperature, top_p=top_p))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    count, sampling = 4000, Sampling(temperature=1.5, top_p=0.8)
    drawn = [
        choose(LOGITS, Sampling(temperature=1.5, top_p=0.8, seed=seed), place)
        for seed in (1, 2)
        for place in range(2000)
    ]
    shares = probabilities(LOGITS, sampling)
    found = np.bincount(drawn, minlength=len(LOGITS)) / count
    assert not found[shares == 0].any()
    # Five standard deviations of a share of so many draws.
    assert (np.abs(found - shares) <= 5 * np.sqrt(shares * (1 - shares) / count) + 1e-12).all()


def test_a_seed_gives_the_same_draws_again_and_another_one_gives_others() -> None:
    def drawn(seed: int) -> list[int]:
        return [choose(LOGITS, Sampling(temperature=1.0, seed=seed), place) for place in range(50)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_without_temperature_the_likeliest_token_is_chosen() -> None:
    assert choose(LOGITS, Sampling(), 0) == LOGITS.argmax()


@pytest.mark.parametrize(
    "wrong", [{"temperature": -0.1}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(SeedTuneError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("logits", [[1.0, np.nan], [np.inf, 1.0], [-np.inf, -np.inf]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite_are_refused(logits: list[float], temperature: float) -> None:
    with pytest.raises(SeedTuneError, match="not finite"):
        choose(np.array(logits, np.float32), Sampling(temperature=temperature), 0)


def test_a_token_that_cannot_be_has_no_share_and_a_tiny_temperature_is_the_likeliest() -> None:
    logits = np.array([1.0, -np.inf, 2.0], np.float32)
    assert probabilities(logits, Sampling(temperature=1.0))[1] == 0
    assert choose(logits, Sampling(temperature=1e-300), 0) == 2

"""The paired interval: scipy says the same, and it covers the truth as often as it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seedtune.runtime.paired import paired_difference, t_quantile

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 10, 23, 100, 255, 256, 5000])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_the_quantile_is_scipys(degrees: int, confidence: float) -> None:
    assert t_quantile(confidence, degrees) == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-9)


def test_many_degrees_are_the_normal_distribution() -> None:
    assert t_quantile(0.95, 10**9) == pytest.approx(stats.norm.ppf(0.975), rel=1e-3)


@pytest.mark.parametrize(("confidence", "degrees"), [(0.0, 5), (1.0, 5), (0.95, 0)])
def test_arguments_out_of_range_are_refused(confidence: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="confidence"):
        t_quantile(confidence, degrees)


def test_the_interval_is_that_of_scipys_paired_test() -> None:
    generator = np.random.default_rng(5)
    before, after = generator.exponential(size=40), generator.exponential(size=40)
    found = paired_difference(before, after)
    expected = stats.ttest_rel(before, after).confidence_interval(0.95)
    assert found.mean - found.half_width == pytest.approx(expected.low)
    assert found.mean + found.half_width == pytest.approx(expected.high)
    assert found.is_gain == (expected.low > 0)


def test_two_equal_models_seem_to_differ_once_in_twenty_times() -> None:
    generator = np.random.default_rng(5)
    pairs = generator.normal(size=(2000, 2, 30))
    outside = [abs(found.mean) > found.half_width for found in (paired_difference(*pair) for pair in pairs)]
    assert 0.035 < np.mean(outside) < 0.065


def test_one_row_or_a_loss_that_is_not_finite_is_no_gain() -> None:
    assert not paired_difference([5.0], [1.0]).is_gain
    assert not paired_difference([5.0, 5.0, 5.0], [1.0, math.nan, 1.0]).is_gain
    assert not paired_difference([math.inf, 5.0, 5.0], [1.0, 1.0, 1.0]).is_gain
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([1.0, 2.0], [1.0])

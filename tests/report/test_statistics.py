"""Scipy is the oracle of both formulas."""

from __future__ import annotations

import numpy as np
import pytest

from seedtune.runtime.report.statistics import mcnemar_exact, paired_comparison, wilson_interval

scipy_stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("correct", "total"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 13), (686, 872), (1, 10**6)])
def test_wilson_interval_equals_scipy(correct: int, total: int, confidence: float) -> None:
    expected = scipy_stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct, total, confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_interval_of_nothing_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "total"), [(-1, 3), (4, 3)])
def test_wilson_interval_refuses_impossible_counts(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="correct"):
        wilson_interval(correct, total)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_wilson_interval_refuses_an_impossible_confidence(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, confidence)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (1, 0), (3, 3), (2, 11), (25, 57), (96, 188), (900, 1100)])
def test_mcnemar_equals_the_exact_binomial_test_of_scipy(b: int, c: int) -> None:
    assert mcnemar_exact(b, c) == pytest.approx(scipy_stats.binomtest(b, b + c, 0.5).pvalue, rel=1e-10)


def test_mcnemar_of_no_discordant_pair_is_one() -> None:
    assert mcnemar_exact(0, 0) == 1.0


def test_mcnemar_stands_huge_counts() -> None:
    assert mcnemar_exact(0, 5000) == 0.0
    assert mcnemar_exact(5000, 5000) == 1.0


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        mcnemar_exact(-1, 2)


def test_paired_comparison_counts_each_kind_of_pair() -> None:
    before = np.array([True, True, True, False, False, False, True])
    after = np.array([True, False, True, True, True, False, True])
    compared = paired_comparison(before.tolist(), after.tolist())
    assert (compared.fixed, compared.broken, compared.total) == (2, 1, 7)
    assert (compared.correct_before, compared.correct_after) == (before.sum(), after.sum())
    assert compared.difference == pytest.approx(after.mean() - before.mean())
    assert compared.p_value == mcnemar_exact(1, 2)


def test_paired_comparison_needs_pairs() -> None:
    with pytest.raises(ValueError, match="pairs"):
        paired_comparison([True], [True, False])

"""How sure an accuracy is, and whether two accuracies on the same rows differ.

Two short formulas from the standard library, in place of scipy and statsmodels: a report must not need them.
The tests hold scipy beside each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, without continuity correction.

    With ``p = correct / total`` and ``z`` the normal quantile of ``(1 + confidence) / 2``::

        (p + z^2/2n  -+  z * sqrt(p(1 - p)/n + z^2/4n^2)) / (1 + z^2/n)

    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA
    22:209-212; recommended by Brown, Cai and DasGupta (2001), Statistical Science 16:101-133, eq. (4).

    Args:
        correct: successes, ``0 <= correct <= total``.
        total: trials; with none of them everything is possible, and the interval is ``(0, 1)``.
        confidence: coverage, between 0 and 1.

    Returns:
        Lower and upper end, both within [0, 1].

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 <= correct <= total:
        raise ValueError(f"correct is {correct}; it must be from 0 to total, {total}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1")
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = correct / total
    scale = 1 + z * z / total
    centre = (p + z * z / (2 * total)) / scale
    half_width = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / scale
    # At the ends the formula gives exactly 0 or 1, up to rounding.
    low = 0.0 if correct == 0 else max(0.0, centre - half_width)
    high = 1.0 if correct == total else min(1.0, centre + half_width)
    return low, high


def mcnemar_exact(before_only_correct: int, after_only_correct: int) -> float:
    """The exact two-sided p-value of McNemar's test: are the discordant pairs a fair coin?

    With ``n = b + c`` discordant pairs and ``k = min(b, c)``::

        p = min(1, 2 * sum_{i <= k} C(n, i) / 2^n)

    Q. McNemar (1947), Psychometrika 12:153-157; the exact binomial form as in A. Agresti, Categorical Data
    Analysis, 2nd edition (2002), section 10.1.4. The sum is of whole numbers, rounded once.

    Args:
        before_only_correct: pairs right before and wrong after (b).
        after_only_correct: pairs wrong before and right after (c).

    Raises:
        ValueError: a count is below 0.
    """
    if before_only_correct < 0 or after_only_correct < 0:
        raise ValueError(f"counts are {before_only_correct} and {after_only_correct}; both must be 0 or more")
    n = before_only_correct + after_only_correct
    term = tail = 1
    for i in range(min(before_only_correct, after_only_correct)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << n))


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two classifiers on the same rows.

    Attributes:
        total: rows.
        correct_before, correct_after: rows right before, and after.
        fixed: wrong before, right after.
        broken: right before, wrong after.
        difference: accuracy after minus accuracy before.
        p_value: :func:`mcnemar_exact` of ``broken`` and ``fixed``.
    """

    total: int
    correct_before: int
    correct_after: int
    fixed: int
    broken: int
    difference: float
    p_value: float


def paired_comparison(correct_before: Sequence[bool], correct_after: Sequence[bool]) -> PairedComparison:
    """Compares two classifiers row by row.

    Args:
        correct_before: for each row, whether it was right before.
        correct_after: the same for after, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    if len(correct_before) != len(correct_after):
        raise ValueError(f"{len(correct_before)} rows before and {len(correct_after)} after; pairs are needed")
    pairs = [(bool(b), bool(a)) for b, a in zip(correct_before, correct_after, strict=True)]
    fixed = pairs.count((False, True))
    broken = pairs.count((True, False))
    both = pairs.count((True, True))
    return PairedComparison(
        total=len(pairs),
        correct_before=both + broken,
        correct_after=both + fixed,
        fixed=fixed,
        broken=broken,
        difference=(fixed - broken) / len(pairs) if pairs else 0.0,
        p_value=mcnemar_exact(broken, fixed),
    )

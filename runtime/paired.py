"""Whether two models differ on the same rows by more than the draw of these rows explains.

    mean(d) -+ t sd(d) / sqrt(n),    d_i = before_i - after_i,    t of n - 1 degrees of freedom

The paired t interval (Student 1908, Biometrika 6:1-25). The distribution of t is the finite sum of Abramowitz and
Stegun (1964), equations 26.7.3 and 26.7.4, in place of scipy; the tests hold scipy beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# So close is t to the normal distribution there that the sum, as long as this, tells nothing more.
MOST_DEGREES = 10_000


@dataclass(frozen=True)
class Difference:
    """How much smaller losses became.

    Attributes:
        mean: of before minus after; above 0 where after is better.
        half_width: of its interval; infinite for fewer than two rows.
        rows: that were compared.
    """

    mean: float
    half_width: float
    rows: int

    @property
    def is_gain(self) -> bool:
        """Whether after is better by more than noise."""
        return self.mean - self.half_width > 0

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ± {self.half_width:.4f}"


def paired_difference(before: npt.ArrayLike, after: npt.ArrayLike, confidence: float = 0.95) -> Difference:
    """The mean of ``before - after`` [N] with its interval; losses that are not finite give no gain.

    Raises:
        ValueError: the lengths differ.
    """
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} before and {second.shape} after; pairs are needed")
    rows = len(first)
    with np.errstate(invalid="ignore"):
        differences = first - second
    if rows < 2 or not np.isfinite(differences).all():
        mean = float(differences.mean()) if rows and np.isfinite(differences).all() else 0.0
        return Difference(mean, math.inf, rows)
    half_width = t_quantile(confidence, rows - 1) * float(differences.std(ddof=1)) / math.sqrt(rows)
    return Difference(float(differences.mean()), half_width, rows)


def t_quantile(confidence: float, degrees: int) -> float:
    """The t that ``|T| <= t`` holds for with probability ``confidence``, T of ``degrees`` degrees of freedom.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 < confidence < 1 or degrees < 1:
        raise ValueError(f"confidence is {confidence}, degrees are {degrees}; from 0 to 1, and at least 1")
    degrees = min(degrees, MOST_DEGREES)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return math.tan(low) * math.sqrt(degrees)


def _within(theta: float, degrees: int) -> float:
    """P(|T| <= t) for ``theta = arctan(t / sqrt(degrees))``."""
    odd = degrees % 2
    cosine, sine = math.cos(theta), math.sin(theta)
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total


def finite_or_none(value: float) -> float | None:
    """``value``, or None where it is not finite, which JSON cannot say."""
    return value if math.isfinite(value) else None

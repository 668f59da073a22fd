"""What stands beside every result: what is got for nothing, or by guessing, with the same rules and queries."""

from __future__ import annotations

import numpy as np

from seedtune.runtime.scan.applied import Applied, Losses
from seedtune.runtime.scan.feeder import ImageFeeder

# Guessed knots lie this far from the identity at most, as a standard deviation: half the way from black to white.
LARGEST_GUESS = 0.5


def guessed(applied: Applied, losses: Losses, feeder: ImageFeeder, queries: int, seed: int) -> float:
    """The share of pictures for which one of ``queries`` random states is a find: what directions are worth."""
    generator = np.random.default_rng(seed)
    left = np.arange(len(feeder))
    for _query in range(queries):
        sizes = generator.uniform(0, LARGEST_GUESS, (len(left), 1))
        states = (sizes * generator.standard_normal((len(left), applied.parameters))).astype(np.float32)
        _, scores, correlation, contrast = applied.pictures(feeder, left, states)
        left = left[losses(scores, feeder.labels[left], correlation, contrast) != 0]
        if not len(left):
            break
    return 1 - len(left) / len(feeder)


def inverted(applied: Applied, feeder: ImageFeeder) -> float:
    """The share of pictures whose negative (1 - x) gets another answer; its correlation is -1, which no scan allows."""
    scores = applied.untouched(np.float32(1) - feeder.values)
    return float((scores.argmax(1) != feeder.labels).mean())

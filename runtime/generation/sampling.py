"""How the next token is chosen: the likeliest, or drawn from the likeliest ones.

With temperature t and top-p p the token is drawn from ``softmax(logits / t)``, cut to the fewest likeliest tokens
whose probabilities sum to p or more (nucleus sampling: Holtzman et al. 2020, arXiv 1904.09751, section 3.1). The draw
is a pure function of the seed and the token's place, so a seed gives the same text again. docs/reference/generation.md
specifies each step, and the engine for the JVM takes the same ones.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.noise import derive_seed, noise_words

MAX_SEED = 2**32 - 1


class Sampling(msgspec.Struct, frozen=True):
    """How tokens are chosen.

    Attributes:
        temperature: 0 for the likeliest token, always; 1 for the model's own probabilities.
        top_p: the share of probability, above 0 and up to 1, that the tokens to draw from have together.
        seed: 0 to 2^32 - 1; of no effect at temperature 0.

    Raises:
        SeedTuneError: one of them is out of its range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, holds, rule in (
            ("temperature", math.isfinite(self.temperature) and self.temperature >= 0, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and up to 1"),
            ("seed", 0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}"),
        ):
            if not holds:
                value = getattr(self, name)
                raise SeedTuneError(f"{name} is out of range", value=value, rule=rule, remedy="change it")


def probabilities(logits: npt.NDArray[np.float32], sampling: Sampling) -> npt.NDArray[np.float64]:
    """The probability of each token to be drawn, [V], for ``logits`` [V]; the temperature is above 0."""
    wide = logits.astype(np.float64)
    shares = _divided(np.exp((wide - wide.max()) / sampling.temperature))
    if sampling.top_p < 1:
        order = np.argsort(-shares, kind="stable")
        likelier = np.concatenate([[0.0], np.cumsum(shares[order])[:-1]])
        shares[order[likelier >= sampling.top_p]] = 0.0
        shares = _divided(shares)
    return shares


def choose(logits: npt.NDArray[np.float32], sampling: Sampling, place: int) -> int:
    """The token that follows, for ``logits`` [V]; ``place`` counts the tokens that were chosen before.

    Raises:
        SeedTuneError: a logit is no number, or the greatest is infinite.
    """
    if not np.isfinite(most := logits.max()):
        raise SeedTuneError(
            "what the model says of the next token is not finite",
            value=float(most),
            rule="finite logits",
            remedy="take an earlier state, or tune with a lower learning rate",
        )
    if sampling.temperature == 0:
        return int(logits.argmax())
    shares = probabilities(logits, sampling)
    word = noise_words(derive_seed(sampling.seed, "generate", place), 1)[0]
    drawn = (float(word) + 0.5) / 2.0**32
    reached = int(np.searchsorted(np.cumsum(shares), drawn, side="right"))
    # Sums of shares may end below 1 by rounding.
    return min(reached, int(np.flatnonzero(shares)[-1]))


def _divided(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Summed from the first to the last: sum() takes another order, whose last bits differ.
    shares: npt.NDArray[np.float64] = weights / np.cumsum(weights)[-1]
    return shares

"""A tokenised row: what a task makes of the text of a row, and all that the graphs need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Example:
    """A tokenised row of T tokens.

    Attributes:
        ids: [T] int64.
        position: the token whose hidden state says the label word: the last one of a causal row, the mask of a
            masked one.
        label: its place in the task's labels; 0 where there is none.
        suffix: [S] int64, the places where a state of scope "suffix" or "last" acts, ascending, ``position`` among
            them; None for scope "all".
        targets: [S] int64, the token that each of the suffix's tokens is to be followed by, in a completion task; else
            None.
        truncated_tokens: how many tokens truncation cost, 0 if the row fitted.
    """

    ids: Integers
    position: int
    label: int = 0
    suffix: Integers | None = None
    targets: Integers | None = None
    truncated_tokens: int = 0

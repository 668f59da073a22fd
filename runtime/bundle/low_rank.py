"""The two factors of what a target adds to its layer's weight: A from a seed, B out of a state."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.manifest import StateLayout, Target
from seedtune.runtime.noise import derive_seed, rademacher

Floats = npt.NDArray[np.float32]


def lora_a_values(layout: StateLayout) -> dict[str, Floats]:
    """Every A of ``layout``: name -> [rank, i] float32, +-1/sqrt(i) from the adapter seed and its place in the list.

    Rademacher rather than normal entries: the same guarantees for a random projection (Achlioptas 2003), and the same
    bits in every language.
    """
    values: dict[str, Floats] = {}
    for target in layout.targets:
        if target.lora_a not in values:
            seed = derive_seed(layout.adapter_seed, "lora_a", len(values))
            signs = rademacher(seed, target.rank * target.in_features)
            scale = np.float32(1.0 / np.sqrt(target.in_features))
            values[target.lora_a] = (signs * scale).reshape(target.rank, target.in_features)
    return values


def lora_b_values(target: Target, state: Floats) -> Floats:
    """B of ``target``, [out_features, rank] float32, out of ``state`` [n]."""
    last = target.offset + target.out_features * target.rank
    return state[target.offset : last].reshape(target.out_features, target.rank)

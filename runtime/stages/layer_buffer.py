"""Layers of cached contexts for stages: each is read into a small buffer while the call before it computes.

A stage with attention wants one layer of the keys and values of a call's rows, which lie in a file row by row. Memory
of its own for each of them would be taken from the system and given back at every call; here it is the same again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from seedtune.runtime.batches.types import Layers
from seedtune.runtime.graphs.types import Array
from seedtune.runtime.stages.ahead import ReadAhead
from seedtune.runtime.stages.pages import Pages

# Where an array may start.
ALIGNMENT = 64
# Graph input -> its layers, and which of them.
Wanted = Mapping[str, tuple[Layers, int]]


class LayerBuffer:
    """Memory for the layers of one call, or of two; shared by the graphs of a bundle, of which one runs at a time.

    Args:
        size_bytes: of it; grows where a call alone takes more.
    """

    def __init__(self, size_bytes: int) -> None:
        self._pages = Pages(size_bytes)

    def passes(self, calls: Sequence[Wanted]) -> ReadAhead[Wanted, dict[str, Array]]:
        """The arrays that each call wants, by graph input; valid until they are released.

        Raises:
            SeedTuneError: a file cannot be read, or has become shorter.
        """
        sizes = [sum(_taken(layers) for layers, _ in call.values()) for call in calls]
        if max(sizes, default=0) > self._pages.size_bytes:
            self._pages = Pages(max(sizes))
        return ReadAhead(calls, sizes, self._fill, self._pages.size_bytes, "seedtune-contexts")

    def _fill(self, call: Wanted, offset: int) -> dict[str, Array]:
        filled: dict[str, Array] = {}
        for name, (layers, layer) in call.items():
            filled[name] = np.ndarray(layers.shape[1:], layers.dtype, self._pages.view, offset)
            layers.fill(layer, filled[name])
            offset += _taken(layers)
        return filled


def _taken(layers: Layers) -> int:
    size = math.prod(layers.shape[1:]) * layers.dtype.itemsize
    return -(-size // ALIGNMENT) * ALIGNMENT

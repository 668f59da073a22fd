"""What the graphs of robust and non-robust heads are fed: rows of features, each with its adversarial twin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from seedtune.runtime.batches.types import Batch, Integers, Work
from seedtune.runtime.heads.rows import ADVERSARIAL, CLEAN, NONE, HeadRows


class ArrayRows:
    """:class:`~seedtune.runtime.batches.types.Feeder` over the rows at ``places`` [M], in their order."""

    unit = "rows"

    def __init__(self, rows: HeadRows, places: Integers) -> None:
        self._arrays = rows.arrays
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def batches(self, indices: Sequence[int] | Integers, limit: int) -> Iterator[Batch]:
        """See `Feeder`; in the order that was asked for.

        Raises:
            ValueError: the limit is not positive.
        """
        if limit < 1:
            raise ValueError(f"the limit must be positive: {limit}")
        chosen = self.places[np.asarray(indices, np.int64)]
        for first in range(0, len(chosen), limit):
            rows = chosen[first : first + limit]
            arrays = {name: np.ascontiguousarray(self._arrays[name][rows]) for name in (*CLEAN, *ADVERSARIAL)}
            targets = self._arrays["adversarial_targets"][rows]
            arrays["label"] = self._arrays["labels"][rows]
            # A row without a partner has some target all the same; its terms weigh nothing.
            arrays["target"] = np.maximum(targets, 0)
            arrays["partner"] = (targets != NONE).astype(np.float32)
            yield Batch(arrays, np.arange(first, first + len(rows)), Work(len(rows)))

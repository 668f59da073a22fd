"""The pictures of a scan as the loop's feeder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch, Integers, Work


class ImageFeeder:
    """:class:`~seedtune.runtime.batches.types.Feeder` of pictures [N, P], their classes [N] and their patterns."""

    unit = "images"

    def __init__(self, values: npt.NDArray[np.float32], labels: Integers, patterns: Integers | None = None) -> None:
        self.values, self.labels, self.patterns = values, labels, patterns

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    def batches(self, indices: Sequence[int] | Integers, limit: int) -> Iterator[Batch]:
        """See :class:`~seedtune.runtime.batches.types.Feeder`."""
        chosen = np.asarray(indices, np.int64)
        for first in range(0, len(chosen), limit):
            part = chosen[first : first + limit]
            arrays: dict[str, npt.NDArray[Any]] = {"image": self.values[part], "label": self.labels[part]}
            if self.patterns is not None:
                arrays["pattern"] = self.patterns[part]
            yield Batch(arrays, np.arange(first, first + len(part), dtype=np.int64), Work(len(part)))

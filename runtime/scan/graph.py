"""A classifier with the graphs of a scan before and behind it, as the estimator sees any graph: batches to losses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from seedtune.runtime.batches.types import Batch, Integers
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.types import Array
from seedtune.runtime.scan.answers import Answers
from seedtune.runtime.scan.applied import Losses


class ScanGraph:
    """:class:`~seedtune.runtime.graphs.types.Graph` of a scan: probe.onnx, the classifier, loss.onnx."""

    outputs = ("loss_plus", "loss_minus")

    def __init__(self, folder: Path, answers: Answers, threads: int | None = None) -> None:
        self._probe = open_session(folder / "probe.onnx", threads)
        self._losses = Losses(folder, threads)
        self._answers = answers

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, Array]
    ) -> Iterator[tuple[Integers, list[Array]]]:
        """See :class:`~seedtune.runtime.graphs.types.Graph`."""
        for batch in batches:
            feeds = {**batch.feeds, **shared}
            label = feeds.pop("label")
            pictures, correlation, contrast = self._probe.run(["input", "correlation", "contrast"], feeds)
            both = np.concatenate([label, label])
            losses = self._losses(self._answers(pictures), both, correlation, contrast)
            sides = dict(zip(self.outputs, np.split(losses, 2), strict=True))
            yield batch.index, [sides[name] for name in names]

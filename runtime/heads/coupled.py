"""What the contrastive graphs are fed: anchors, a positive of each, and the negatives that all of them share.

A step is one group in one call, never split: its rows are coupled by the loss. Which rows they are follows from the
seed of the run and the number of the step alone, by integer arithmetic of `runtime/noise.py` that any language has:

    anchors    those of the `Sampler`, over the rows that have a positive
    positive   of anchor i with the positives p_0 .. p_{k-1}: p_{w_i mod k}, w of derive_seed(seed, "positive", step)
    negative   j, with w of derive_seed(seed, "negative", step): of the cluster c = w_{2j} mod C (of size n_c) the
               member w_{2j+1} mod n_c; without the imbalance fix row w_{2j+1} mod N

w are noise words.

A cluster is as likely as any other, so a row is drawn with a probability inverse to the size of its cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from seedtune.runtime.arrays import Array
from seedtune.runtime.batches.sampler import Sampler
from seedtune.runtime.batches.types import Batch, Integers, Work
from seedtune.runtime.bundle.heads import Contrastive
from seedtune.runtime.heads.rows import HeadRows
from seedtune.runtime.noise import derive_seed, noise_words

Floats = npt.NDArray[np.float32]


class CoupledRows:
    """:class:`~seedtune.runtime.batches.types.CoupledFeeder` over contrastive graphs, of the rows that have a positive.

    What ``group`` gives and ``batches`` takes is a list of rows: anchors, as many positives, and the negatives.
    """

    unit = "rows"
    coupled: Literal[True] = True

    def __init__(self, rows: HeadRows, loss: Contrastive) -> None:
        self._loss = loss
        self._features: Floats = rows.arrays["features"]
        self._offsets: Integers = rows.arrays["positive_offsets"]
        self._positives: Integers = rows.arrays["positives"]
        self._cluster_offsets: Integers = rows.arrays["cluster_offsets"]
        self._members: Integers = rows.arrays["cluster_members"]
        self._anchors = np.flatnonzero(np.diff(self._offsets))
        self._sampler = Sampler(0, max(1, len(self._anchors)), 1)

    def __len__(self) -> int:
        return len(self._anchors)

    def group(self, seed: int, step: int, batch_size: int) -> Integers:
        """The rows of step ``step`` (0-based): anchors [batch_size], positives [batch_size], negatives."""
        if (seed, batch_size) != (self._sampler.seed, self._sampler.batch_size):
            self._sampler = Sampler(seed, len(self._anchors), batch_size)
        anchors = self._anchors[self._sampler.indices(step)]
        return np.concatenate([anchors, self.positives_of(anchors, seed, step), self.negatives(seed, step)])

    def positives_of(self, anchors: Integers, seed: int, step: int) -> Integers:
        """A positive of each of ``anchors``, [A]; of one without any, itself."""
        words = noise_words(derive_seed(seed, "positive", step), len(anchors)).astype(np.int64)
        counts = self._offsets[anchors + 1] - self._offsets[anchors]
        places = self._offsets[anchors] + words % np.maximum(counts, 1)
        if not len(self._positives):
            return anchors
        return np.where(counts > 0, self._positives[np.minimum(places, len(self._positives) - 1)], anchors)

    def negatives(self, seed: int, step: int) -> Integers:
        """The negatives of a step."""
        words = noise_words(derive_seed(seed, "negative", step), 2 * self._loss.negatives).astype(np.int64)
        of_cluster, of_member = words[::2], words[1::2]
        if not self._loss.imbalance_fix:
            return of_member % len(self._features)
        clusters = of_cluster % (len(self._cluster_offsets) - 1)
        first, end = self._cluster_offsets[clusters], self._cluster_offsets[clusters + 1]
        return self._members[first + of_member % (end - first)]

    def batches(self, indices: Sequence[int] | Integers, limit: int) -> Iterator[Batch]:
        """See `Feeder`: the whole group in one batch, whatever ``limit`` says; each of its rows is fed once."""
        rows = np.asarray(indices, np.int64)
        anchors = (len(rows) - self._loss.negatives) // 2
        used, places = np.unique(rows, return_inverse=True)
        anchor, positive, negative = np.split(places.astype(np.int64), [anchors, 2 * anchors])
        arrays: dict[str, Array] = {
            "features": np.ascontiguousarray(self._features[used]),
            "anchor": anchor,
            "positive": positive,
            "negative": negative,
        }
        yield Batch(arrays, np.arange(anchors), Work(len(used)))

    def alone(self, places: Integers) -> Batch:
        """Rows whose embeddings are wanted, one after the other; the loss of such a batch means nothing."""
        arrays: dict[str, Array] = dict.fromkeys(("anchor", "positive", "negative"), np.zeros(1, np.int64))
        arrays["features"] = np.ascontiguousarray(self._features[places])
        return Batch(arrays, np.arange(len(places)), Work(len(places)))

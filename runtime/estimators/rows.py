"""Batches at several states, and what graphs say of rows: in the rows' order, averaged as any language can."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.estimators.protocol import Doubles, Floats


def in_order(places: Sequence[npt.NDArray[np.int64]], parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """``parts`` of batches, whose last axis are their rows, as one array in the order of the rows.

    Args:
        places: of each batch's rows (``Batch.index``): each of 0 to rows - 1 once in all of them.
        parts: as many, each [..., B].
    """
    return np.concatenate(parts, axis=-1)[..., np.argsort(np.concatenate(places))]


def mean_of_rows(losses: npt.NDArray[Any]) -> Doubles:
    """The mean over the last axis, [..., 1], in float64."""
    # One after the other, as any language can add; np.mean would add in an order of its own.
    mean: Doubles = np.cumsum(losses.astype(np.float64), axis=-1)[..., -1:] / losses.shape[-1]
    return mean


def at_states(batches: Iterable[Batch], states: Iterable[Floats]) -> Iterator[Batch]:
    """Each batch once for each of ``states``, which are iterated for every batch, before the next batch."""
    for batch in batches:
        for state in states:
            yield dataclasses.replace(batch, arrays={**batch.arrays, "state": state})
        del batch

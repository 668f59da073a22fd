"""Micro-batches: rows of similar length together, padded on the right, within a limit of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Example:
    """A tokenised, labelled row: ``ids`` [T], the label's ``position`` and the ``label``'s place in the task."""

    ids: Integers
    position: int
    label: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows for one call: ``ids``, ``mask`` [B, T] (mask 1 = token), ``position``, ``label``, ``index`` [B].

    ``index`` is each row's place in the sequence that the micro-batches were made of.
    """

    ids: Integers
    mask: Integers
    position: Integers
    label: Integers
    index: Integers

    @property
    def tokens(self) -> int:
        """B * T, padding included."""
        return int(self.ids.size)

    @property
    def padding_tokens(self) -> int:
        """How many of them are padding."""
        return int(self.ids.size - self.mask.sum())


def micro_batches(examples: Sequence[Example], token_limit: int, padding_id: int) -> Iterator[Batch]:
    """Every example exactly once, shortest first, in batches of B * T <= ``token_limit``.

    An example longer than the limit goes alone. Equal lengths keep their order, so the split depends on the examples
    only.

    Args:
        examples: tokenised rows.
        token_limit: B * T at most, padding included.
        padding_id: fills short rows on the right; the mask is 0 there.

    Raises:
        ValueError: the limit is not positive.
    """
    if token_limit < 1:
        raise ValueError(f"token_limit < 1: {token_limit}")
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].ids))
    chosen: list[int] = []
    for index in order:
        if chosen and (len(chosen) + 1) * len(examples[index].ids) > token_limit:
            yield _pad(examples, chosen, padding_id)
            chosen = []
        chosen.append(index)
    if chosen:
        yield _pad(examples, chosen, padding_id)


def _pad(examples: Sequence[Example], chosen: list[int], padding_id: int) -> Batch:
    rows = [examples[index] for index in chosen]
    lengths = np.array([len(row.ids) for row in rows])
    mask = (np.arange(lengths.max())[None] < lengths[:, None]).astype(np.int64)
    ids = np.full(mask.shape, padding_id, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = row.ids
    return Batch(
        ids=ids,
        mask=mask,
        position=np.array([row.position for row in rows], np.int64),
        label=np.array([row.label for row in rows], np.int64),
        index=np.array(chosen, np.int64),
    )

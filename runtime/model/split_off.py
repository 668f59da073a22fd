"""Held-out rows out of the training rows, where a run is given no others: drawn from the run's seed, label by label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedtune.runtime.data.rows import Rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.splits import Split
from seedtune.runtime.noise import derive_seed, permutation

# A fifth, as a fold of five-fold cross-validation; more than LARGEST tells little more and costs time at each
# evaluation; and with fewer than SMALLEST one row is more than five points. Guesses, all three.
SHARE, SMALLEST, LARGEST = 5, 20, 256

Integers = npt.NDArray[np.int64]


def default_held_out(rows: int) -> int:
    """How many of ``rows`` are split off where nobody says how many: a fifth, or none of a few."""
    count = min(rows // SHARE, LARGEST)
    return count if count >= SMALLEST else 0


def split_off(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """The rows that are left to learn from, and the held-out rows, each in the order of the file.

    Args:
        split: the training file.
        count: of the held-out rows, above 0.
        seed: of the run.

    Raises:
        SeedTuneError: nothing would be left to learn from.
    """
    total = len(split.rows)
    if not 0 < count < total:
        raise SeedTuneError(
            "these are too many held-out rows",
            file=split.path,
            value=f"--held-out-rows {count}",
            rule=f"1 to {total - 1} of {total:,} rows; 0 for none",
            remedy="choose fewer, or give held-out rows of their own with --eval",
        )
    labels = np.array([example.label for example in split.examples], np.int64)
    chosen = np.zeros(total, np.bool_)
    chosen[held_out_places(labels, count, seed)] = True
    left, held = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    return _part(split, left, split.rows.notices), _part(split, held, ())


def held_out_places(labels: Integers, count: int, seed: int) -> Integers:
    """``count`` places, rising: of each label of ``labels`` [N] its share, the largest remainders rounded up.

    Args:
        labels: 0 to L - 1; all the same in a completion task.
        count: at most N.
        seed: of the run.
    """
    order = permutation(derive_seed(seed, "held_out"), len(labels))
    present, sizes = np.unique(labels, return_counts=True)
    quotas, remainders = np.divmod(sizes * count, len(labels))
    # Of equals the more frequent label: it misses a row least.
    first = np.lexsort((present, -sizes, -remainders))
    quotas[first[: count - int(quotas.sum())]] += 1
    places = [order[labels[order] == label][:quota] for label, quota in zip(present, quotas, strict=True)]
    return np.sort(np.concatenate(places))


def _part(split: Split, places: Integers, notices: tuple[str, ...]) -> Split:
    rows = Rows([split.rows[place] for place in places], split.rows.source, notices)
    return Split(split.path, rows, [split.examples[place] for place in places], split.sha256)

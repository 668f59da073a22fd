"""The rows of a bundle of heads: arrays in its ``rows.safetensors``, checked against the manifest before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seedtune.runtime.arrays import Array, read_arrays
from seedtune.runtime.batches.types import Integers
from seedtune.runtime.bundle.heads import ROWS, Contrastive, FeatureHeads
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError

SPLITS = ("train", "validation", "test")
# What a head reads of each row, in the order of the graphs' inputs.
CLEAN, ADVERSARIAL = ("z_robust", "z_non_robust"), ("z_robust_adversarial", "z_non_robust_adversarial")
NONE = -1


@dataclass(frozen=True, eq=False)
class HeadRows:
    """N rows; arrays are mapped from their file.

    Attributes:
        path: of the file.
        sha256: of its bytes, in hexadecimal.
        objective: of the bundle.
        arrays: name -> array, as docs/reference/features.md lists them.
    """

    path: Path
    sha256: str
    objective: FeatureHeads
    arrays: dict[str, Array]

    def __len__(self) -> int:
        """N."""
        return self.objective.rows

    @property
    def labels(self) -> Integers:
        """Of each row, [N]; -1 for none."""
        found: Integers = self.arrays["labels"]
        return found

    def split(self, name: str) -> Integers:
        """The rows of ``train``, ``validation`` or ``test`` that have a label, rising."""
        places: Integers = self.arrays[name]
        labelled: Integers = places[self.labels[places] != NONE]
        return labelled


def open_rows(bundle: Bundle) -> HeadRows:
    """The rows of ``bundle``, which has heads.

    Raises:
        SeedTuneError: the file is damaged, or holds other arrays than the manifest says.
    """
    objective = bundle.manifest.objective
    if not isinstance(objective, FeatureHeads):
        raise ValueError("a bundle of a language model brings no rows")
    path = bundle.path / ROWS
    arrays = read_arrays(path)
    expected = _expected(objective)
    for name, (kind, shape) in expected.items():
        found = arrays.get(name)
        matches = found is not None and found.dtype == kind and len(found.shape) == len(shape)
        if (
            found is None
            or not matches
            or any(want not in (None, have) for want, have in zip(shape, found.shape, strict=True))
        ):
            raise _damaged(path, name, None if found is None else (found.dtype.name, found.shape), (kind, shape))
    rows = HeadRows(path, bundle.manifest.files[ROWS].sha256, objective, arrays)
    _check_values(rows)
    return rows


def _expected(objective: FeatureHeads) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """Name -> type and shape, None for any size."""
    count, loss = objective.rows, objective.loss
    found: dict[str, tuple[str, tuple[int | None, ...]]] = {"labels": ("int64", (count,))}
    found |= dict.fromkeys(SPLITS, ("int64", (None,)))
    if isinstance(loss, Contrastive):
        found["features"] = ("float32", (count, objective.features))
        found |= dict.fromkeys(("positive_offsets",), ("int64", (count + 1,)))
        found |= dict.fromkeys(("positives", "cluster_offsets", "cluster_members"), ("int64", (None,)))
        return found
    widths = (loss.robust_features, loss.non_robust_features)
    for names in (CLEAN, ADVERSARIAL):
        found |= {name: ("float32", (count, width)) for name, width in zip(names, widths, strict=True)}
    found["adversarial_targets"] = ("int64", (count,))
    return found


def _check_values(rows: HeadRows) -> None:
    """Refuses an index that would lead out of an array: a bundle may come from anyone."""
    objective, arrays = rows.objective, rows.arrays
    within = dict.fromkeys(SPLITS, (0, objective.rows)) | {"labels": (NONE, objective.classes)}
    if isinstance(objective.loss, Contrastive):
        within |= dict.fromkeys(("positives", "cluster_members"), (0, objective.rows))
        for offsets, members in (("positive_offsets", "positives"), ("cluster_offsets", "cluster_members")):
            ends = arrays[offsets]
            sizes = np.diff(ends)
            least = 1 if offsets == "cluster_offsets" else 0
            whole = len(ends) > 1 and ends[0] == 0 and ends[-1] == len(arrays[members])
            if not whole or sizes.min(initial=least) < least or len(arrays[members]) > np.iinfo(np.int32).max:
                raise _damaged(rows.path, offsets, (int(ends[0]), int(ends[-1])) if len(ends) else (), "rising offsets")
    else:
        within["adversarial_targets"] = (NONE, objective.classes)
    for name, (least, end) in within.items():
        values = arrays[name]
        if len(values) and not (least <= values.min() and values.max() < end):
            raise _damaged(rows.path, name, (int(values.min()), int(values.max())), f"{least} to {end - 1}")


def _damaged(path: Path, name: str, value: object, rule: object) -> SeedTuneError:
    return SeedTuneError(
        f"the bundle's rows have no such {name} as its manifest says",
        file=path,
        value=value,
        rule=str(rule),
        remedy="export the bundle again",
    )

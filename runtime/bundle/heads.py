"""The objective of a bundle of heads: a loss over rows of features, which lie in the bundle, and no text at all.

Two losses, told apart by their ``kind``. Both are reconstructed from the abstracts of their papers; the formulas are
those of docs/guides/heads.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import MAX_SIZE

ROWS = "rows.safetensors"
GRAPHS = {"probe": "probe.onnx", "eval": "eval.onnx", "update": "update.onnx"}
# What of a matrix is trained: all of it, a change of low rank, or a factor for each of its columns.
Form = Literal["full", "low-rank", "diagonal"]
# exp(2 / temperature) must be a float32.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.03, 100.0
MOST_WEIGHT = 1000.0
REMEDY = "export the bundle again"


class Contrastive(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="contrastive"):
    """Rows are drawn to their positives and pushed from ``negatives`` others by the cosines of their embeddings.

    Attributes:
        temperature: t, by which cosines are divided.
        negatives: rows of a step that all its anchors are pushed from.
        collision_fix: a negative weighs less the more alike its input features and the anchor's are.
        imbalance_fix: negatives are drawn cluster by cluster, each as often, rather than row by row.
    """

    temperature: float
    negatives: int
    collision_fix: bool = True
    imbalance_fix: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """What a run has where nothing else is asked for; measured: docs/log/2026-11-27.md, "Heads"."""
        return {"steps": 20000, "batch_size": 128, "eval_every": 4000, "learning_rate": 2e-3, "start": "zero"}


class RobustHeads(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="heads"):
    """Three heads that read robust features, non-robust features, and both.

    Attributes:
        robust_features: d_r.
        non_robust_features: d_n.
        adversarial_weight: a, of what the robust head says of adversarial pictures.
        target_weight: b, of what the non-robust head says of them.
    """

    robust_features: int
    non_robust_features: int
    adversarial_weight: float = 1.0
    target_weight: float = 1.0

    @property
    def settings(self) -> dict[str, Any]:
        """What a run has where nothing else is asked for; measured: docs/log/2026-11-27.md, "Trained heads"."""
        return {"steps": 4000, "batch_size": 256, "eval_every": 400, "learning_rate": 1e-3, "start": "zero"}


class FeatureHeads(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="head"):
    """Heads over features.

    Attributes:
        loss: what they learn by.
        source: the file of the features, as it was called.
        rows: N.
        features: d, of a row.
        classes: C; 0 where no row has a label.
        form: of the trained change.
        provenance: what the maker of the features says of them.
    """

    loss: Contrastive | RobustHeads
    source: str
    rows: int
    features: int
    classes: int
    form: Form = "full"
    provenance: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The word of the loss: contrastive or heads."""
        return str(self.loss.__struct_config__.tag)

    @property
    def settings(self) -> dict[str, Any]:
        """Options of a run where nothing else is asked for."""
        return self.loss.settings

    @property
    def brings_rows(self) -> bool:
        """Whether the bundle has the rows of its runs."""
        return True

    @property
    def summary(self) -> str:
        """What it is, in a few words."""
        return f"{self.name} over {self.rows:,} rows of {self.features} features"

    @property
    def graphs(self) -> dict[str, str]:
        """Graph -> its file."""
        return GRAPHS

    @property
    def files(self) -> frozenset[str]:
        """The files beside the graphs."""
        return frozenset({ROWS})

    @property
    def optional_graphs(self) -> dict[str, str]:
        """Graph -> its file, of those that a bundle may have."""
        return {}

    def check(self, path: Path) -> None:
        """Raises SeedTuneError where this cannot be; ``path`` is the manifest's."""
        loss = self.loss
        ranges: list[tuple[str, float, float, float]] = [
            ("rows", self.rows, 1, MAX_SIZE),
            ("features", self.features, 1, MAX_SIZE),
            ("classes", self.classes, 0, self.rows),
        ]
        if isinstance(loss, Contrastive):
            ranges += [
                ("loss.temperature", loss.temperature, LEAST_TEMPERATURE, MOST_TEMPERATURE),
                ("loss.negatives", loss.negatives, 1, MAX_SIZE),
            ]
        else:
            ranges += [
                ("loss.robust_features", loss.robust_features, 1, self.features - 1),
                ("loss.non_robust_features", loss.non_robust_features, 1, self.features - loss.robust_features),
                ("loss.adversarial_weight", loss.adversarial_weight, 0, MOST_WEIGHT),
                ("loss.target_weight", loss.target_weight, 0, MOST_WEIGHT),
                ("classes", self.classes, 2, self.rows),
            ]
        for name, value, least, most in ranges:
            if not least <= value <= most:
                raise SeedTuneError(
                    f"the manifest's {name} is out of range",
                    file=path,
                    value=value,
                    rule=f"{least:,} to {most:,}",
                    remedy=REMEDY,
                )

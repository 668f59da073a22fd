"""What a run is made of, apart from its bundle and data. Defaults are measured: docs/log.md, "defaults"."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.optimizers.schedule import Schedule

MAX_SEED = 2**32 - 1
# Examples a step with scope "all", where each costs so much time that more do not pay.
BATCH_SIZE_OF_WHOLE_ROWS = 32


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a run.

    Attributes:
        steps: updates to make.
        batch_size: examples a step; 0 for a choice when the run begins, by measurement with scope "suffix" and 32 with
            scope "all". A run that has begun has a number above 0.
        learning_rate: how far a typical step moves every parameter of the state, at the start.
        epsilon: half the distance between the two sides of a probe.
        seed: the run seed, 32 bits; everything random follows from it.
        schedule: how the learning rate falls.
        eval_every: steps between evaluations of the held-out rows.
        rows_per_call: token rows of one call of the probe graph, both sides and padding counted; bounds memory.
    """

    steps: int = 300
    batch_size: int = 0
    learning_rate: float = 3e-2
    epsilon: float = 1e-2
    seed: int = 0
    schedule: Schedule = "linear"
    eval_every: int = 50
    rows_per_call: int = 1024

    def check(self) -> None:
        """Raises SeedTuneError for a value that no run can have."""
        for name in ("steps", "eval_every", "rows_per_call"):
            self._require(name, getattr(self, name) >= 1, ">= 1")
        self._require("batch_size", self.batch_size >= 0, ">= 1, or 0 for a choice by measurement")
        for name in ("learning_rate", "epsilon"):
            value = getattr(self, name)
            self._require(name, math.isfinite(value) and value > 0, "a finite number above 0")
        self._require("seed", 0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}")
        self._require("schedule", self.schedule in ("linear", "cosine", "constant"), "linear, cosine or constant")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            option = "--" + name.replace("_", "-")
            raise SeedTuneError(
                f"{option} is out of range",
                value=getattr(self, name),
                rule=rule,
                remedy=f"choose another {option}",
            )

    def as_dict(self) -> dict[str, Any]:
        """Field name -> value, as in run.json and the journal's header."""
        return msgspec.structs.asdict(self)

"""Settings of a scan, and what its journal's header keeps of them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Attack = Literal["spt", "spa"]
WhiteBox = Literal["pgd", "cw"]
MAX_SEED = 2**32 - 1


class ScanSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a scan."""

    attack: Annotated[
        Attack,
        Meta(description="spt: one curve for all values of a picture; spa: a curve a channel, and shifts of patterns."),
    ] = "spt"
    queries: Annotated[int, Meta(ge=2, description="Answers of the classifier that a picture may cost.")] = 400
    correlation: Annotated[
        float, Meta(ge=-1, le=1, description="With the original that a changed picture keeps; 0.8 strict, 0.5 loose.")
    ] = 0.8
    contrast: Annotated[
        float, Meta(ge=0, description="Of the original's standard deviation that a changed picture keeps.")
    ] = 0.3
    margin: Annotated[
        float,
        Meta(gt=0, description="By which another class must lead; larger where other models shall be fooled too."),
    ] = 1e-3
    knots: Annotated[int, Meta(ge=2, le=256, description="Of a curve.")] = 16
    patterns: Annotated[int, Meta(ge=1, le=4096, description="Of a picture, that spa shifts.")] = 16
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED, description="Everything random follows from it; 32 bits.")] = 0
    opening: Annotated[
        float, Meta(ge=0, le=1, description="Of the queries that go into far probes of the untouched picture.")
    ] = 0.2
    reach: Annotated[
        float, Meta(gt=0, description="How far those move every knot: from black to half the way, say.")
    ] = 0.5
    epsilon: Annotated[float, Meta(gt=0, description="How far a probe moves every knot.")] = 0.08
    learning_rate: Annotated[float, Meta(ge=0, description="How far a typical step moves every knot.")] = 0.15
    momentum: Annotated[float, Meta(ge=0, lt=1, description="What a step keeps of the one before.")] = 0.8
    norm_bound: Annotated[
        float, Meta(gt=0, le=1, description="How far the control that changes each pixel by itself may go, and also.")
    ] = 0.1
    also: Annotated[
        WhiteBox | None,
        Meta(description="Gradients on top, within norm_bound: pgd of the cross-entropy, cw of the margin."),
    ] = None
    also_steps: Annotated[int, Meta(ge=1, le=10_000, description="Of that descent.")] = 40
    images_per_call: Annotated[int, Meta(ge=1, description="Of the classifier, both sides; bounds memory.")] = 256

    @property
    def steps(self) -> int:
        """Each asks twice."""
        return self.queries // 2

    def flat(self) -> dict[str, int | float | str | None]:
        """As a journal's header has it: what estimator and optimizer are built of, and the rest by its own names."""
        own = {
            f"scan.{name}": getattr(self, name)
            for name in ("attack", "correlation", "contrast", "margin", "knots", "patterns", "norm_bound")
        }
        return own | {
            "scan.opening": round(self.opening * self.steps),
            "scan.reach": self.reach,
            "steps": self.steps,
            "estimator.kind": "two_sided",
            "estimator.epsilon": self.epsilon,
            "optimizer.kind": "momentum",
            "optimizer.learning_rate": self.learning_rate,
            "optimizer.schedule": "constant",
            "optimizer.momentum": self.momentum,
        }

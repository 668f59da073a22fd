"""``trials.json``: what a run with a budget measured before its first step, what it chose by that, and why.

Written when the trials begin and after each of them, so that a run that goes on measures nothing twice. Losses are in
nats; those that are not finite are ``null``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

FORMAT_VERSION = 1
TRIALS_FILE = "trials.json"
Positive = Annotated[int, Meta(ge=1)]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A short run from the start of the run, its schedule as short as it is, and its loss on held-out rows at its end.

    ``gain`` is how much ``objective`` of ``held_out_rows`` rows fell from ``objective_start``, give or take
    ``gain_half_width`` (paired over the rows, 95 %); both are None where the trial diverged. The objective is the mean
    loss (``objective_start`` is None then), 1 - accuracy or 1 - F1. ``step_ms`` is the median of its steps;
    ``seconds`` all that it took, its evaluation included. ``example_passes`` counts a probe as two a row, a gradient
    as one.
    """

    method: str
    learning_rate: Annotated[float, Meta(gt=0)]
    batch_size: Positive
    steps: int
    step_ms: float
    seconds: float
    example_passes: int
    held_out_rows: int
    loss_start: float | None
    loss: float | None
    accuracy: float | None
    gain: float | None = None
    gain_half_width: float | None = None
    objective: str = "loss"
    objective_start: float | None = None


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a run with a budget says before its first step; also in ``result.json``.

    ``method`` is two-sided, gradient, or none where no step is made. ``seconds`` are those of the whole run,
    ``rss_anon_bytes`` the most memory of its own that the process held in the trials (None where the system does not
    tell). ``reason`` explains the choice in one line.
    """

    method: str
    reason: str
    learning_rate: float | None
    batch_size: int | None
    steps: int
    eval_every: int | None
    step_ms: float | None
    seconds: float
    rss_anon_bytes: int | None


class Trials(msgspec.Struct, frozen=True, kw_only=True):
    """The file. ``elapsed_seconds`` run since the run began; ``chosen`` is None while trials are to come."""

    format_version: int
    budget_seconds: float
    elapsed_seconds: Annotated[float, Meta(ge=0)]
    trials: list[Trial]
    chosen: Expectation | None = None

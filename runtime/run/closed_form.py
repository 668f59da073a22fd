"""The start of a new run: the untouched model reads the training rows once, and a linear probe is solved for."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from seedtune.runtime.batches.types import Feeder
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.evaluation import evaluating
from seedtune.runtime.model.splits import Split
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.start.linear_probe import MOST_VALUES, Probe, chosen_rows, solve, too_few
from seedtune.runtime.telemetry.events import Event, Notice

# Bytes of the solver for each value of a hidden state: a guess with a margin over the matrices that it holds.
BYTES_PER_VALUE = 64
# The part of a memory limit that the solver may take, before the first step.
SHARE_OF_LIMIT = 8


def most_values(limit_bytes: int | None) -> int:
    """How many values of hidden states are learnt from at most, under a memory limit or without one."""
    most: int = MOST_VALUES
    return most if limit_bytes is None else min(most, limit_bytes // SHARE_OF_LIMIT // BYTES_PER_VALUE)


def solver_bytes(settings: Settings, features: int, rows: int, limit_bytes: int) -> int:
    """What :func:`closed_form` takes under a memory limit, beside the evaluation of the training rows."""
    if settings.start == "zero":
        return 0
    return BYTES_PER_VALUE * min(rows * features, most_values(limit_bytes))


def closed_form(
    graphs: Graphs, settings: Settings, train: Split, feeder: Feeder
) -> Generator[Event, None, Probe | None]:
    """The probe that the run starts from; None where it starts from zero, and a notice says why.

    Args:
        graphs: of the bundle.
        settings: of the run.
        train: its training rows.
        feeder: makes batches of them.
    """
    head = graphs.bundle.manifest.state.head
    if settings.start == "zero" or head is None:
        return None
    names = [label.name or label.word.strip() for label in graphs.bundle.manifest.language_model.task.labels]
    labels = np.array([example.label for example in train.examples], np.int64)
    rare = too_few(labels, len(names))
    if rare is not None:
        yield Notice(
            f"start zero: a linear probe needs two training rows of each label, and {names[rare]!r} has "
            f"{int((labels == rare).sum())}"
        )
        return None
    limit = graphs.choice.limit_bytes if graphs.choice else None
    places = chosen_rows(labels, head.features, settings.seed, most_values(limit))
    zero = np.zeros(graphs.bundle.manifest.state.parameters, np.float32)
    found = yield from evaluating(
        graphs, zero, feeder, rows=settings.rows_per_call, places=places, want_hidden=True, want_scores=True
    )
    assert found.hidden is not None
    assert found.log_probabilities is not None
    if not (np.isfinite(found.hidden).all() and np.isfinite(found.log_probabilities).all()):
        yield Notice("start zero: the untouched model gives numbers that are not finite for some training rows")
        return None
    probe = solve(found.hidden, found.log_probabilities, found.labels, settings.seed)
    learnt = f"{probe.rows:,} training rows: {found.accuracy:.1%} and loss {found.loss:.4f} by the untouched model"
    by_probe = f"{probe.accuracy:.1%} and {probe.loss:.4f} by a linear probe, cross-validated"
    if probe.loss >= probe.loss_before:
        yield Notice(f"start zero: {learnt}, {by_probe}, which is no gain")
        return None
    yield Notice(f"start linear-probe: {learnt}, {by_probe}")
    return probe

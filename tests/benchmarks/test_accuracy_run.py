"""`seedtune run` as a method of the accuracy bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab.accuracy.method import Prepared

pytestmark = pytest.mark.traced


def test_a_run_learns_and_its_start_is_what_pytorch_says_of_the_untouched_model(accuracy_task: Prepared) -> None:
    from lab.accuracy.method import Budget, measured
    from lab.accuracy.seedtune_run import BATCH_ROWS, EVALUATE_EVERY, SeedTuneRun
    from lab.accuracy.zero_shot import label_scores

    method = SeedTuneRun("last", 1)
    found = method.run(accuracy_task, 0, Budget(steps=2 * EVALUATE_EVERY))
    _, untouched = measured(label_scores(accuracy_task)["validation"], accuracy_task.labels_of("validation"))
    passes, losses = zip(*found.curve, strict=True)
    assert passes == tuple(2 * BATCH_ROWS * step for step in (0, EVALUATE_EVERY, 2 * EVALUATE_EVERY))
    assert losses[0] == pytest.approx(untouched, abs=1e-3)
    assert found.validation_loss == pytest.approx(min(losses), abs=1e-4)
    assert found.validation_loss < untouched
    assert found.example_passes == passes[-1]
    assert method.settings(Budget(steps=7)) == {"steps": 7, "batch_rows": BATCH_ROWS, "start": "zero"}


def test_a_run_along_gradients_makes_its_passes_over_the_rows_and_learns(accuracy_task: Prepared) -> None:
    from lab.accuracy.method import Budget
    from lab.accuracy.seedtune_run import BATCH_ROWS_OF_GRADIENTS, SeedTuneRun

    method = SeedTuneRun("last", 1, "gradient")
    found = method.run(accuracy_task, 0, Budget(epochs=6))
    rows = len(accuracy_task.corpus.rows["train"])
    assert found.example_passes == 6 * rows // BATCH_ROWS_OF_GRADIENTS * BATCH_ROWS_OF_GRADIENTS
    passes, losses = zip(*found.curve, strict=True)
    assert passes[0] == 0
    assert found.validation_loss == pytest.approx(min(losses), abs=1e-4)
    assert found.validation_loss < losses[0]


def test_a_run_behind_a_linear_probe_starts_below_the_untouched_model_and_is_called_so(
    accuracy_task: Prepared,
) -> None:
    from lab.accuracy.method import Budget, measured
    from lab.accuracy.seedtune_run import SeedTuneRun
    from lab.accuracy.zero_shot import label_scores

    method = SeedTuneRun("last", 1, "gradient", "linear-probe")
    assert method.name == "seedtune run last/1, gradient, linear-probe"
    assert method.settings(Budget(epochs=1))["start"] == "linear-probe"
    found = method.run(accuracy_task, 0, Budget(epochs=1))
    _, untouched = measured(label_scores(accuracy_task)["validation"], accuracy_task.labels_of("validation"))
    assert found.curve[0][1] < untouched
    assert found.validation_loss <= found.curve[0][1] + 1e-4

"""Runs as they are by default, beside what a closed form makes of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab.accuracy.method import Prepared

pytestmark = pytest.mark.traced


def test_a_run_stands_beside_its_start_and_the_regression_that_pytorch_gives(
    accuracy_task: Prepared, tmp_path: Path
) -> None:
    from lab.accuracy.against_probe import DefaultRuns
    from lab.accuracy.method import Budget, measured
    from lab.accuracy.probes import LinearProbe
    from lab.accuracy.zero_shot import label_scores

    runs = DefaultRuns(accuracy_task.source, accuracy_task.corpus, tmp_path, 1)
    found = runs.run({"steps": 4, "batch_size": 8, "eval_every": 2}, 0)
    regression = LinearProbe().run(accuracy_task, 0, Budget())
    assert found.logistic_regression.accuracy == regression.accuracy
    # Hidden states of another program, in float32, standardised and solved for.
    assert found.logistic_regression.loss == pytest.approx(regression.loss, abs=2e-2)
    untouched = measured(label_scores(accuracy_task)["test"], accuracy_task.labels_of("test"))
    assert (found.zero_shot.accuracy, found.zero_shot.loss) == pytest.approx(untouched, abs=1e-3)
    assert found.linear_probe.loss < found.zero_shot.loss
    assert found.loss_gain.mean == pytest.approx(found.linear_probe.loss - found.tuned.loss, abs=1e-6)
    assert found.accuracy_gain.mean == pytest.approx(found.tuned.accuracy - found.linear_probe.accuracy)
    assert (found.method, found.steps) == ("two-sided", 4)
    assert found.as_dict()["accuracy"] == found.tuned.accuracy

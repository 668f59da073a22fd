"""MeZO as a method of the accuracy bench, and the step that it shares with the bench of steps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from contenders.mezo import mezo_step
from lab.accuracy.first_order import all_scores
from lab.accuracy.method import Budget, Prepared, measured
from lab.accuracy.mezo import POINTS, Mezo

pytestmark = pytest.mark.traced


def test_a_step_goes_along_the_noise_by_the_projected_gradient() -> None:
    """Of a quadratic the difference of both sides is exact: z z' g."""
    generator = torch.Generator().manual_seed(3)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=generator).double()) for shape in ((4, 3), (5,))]
    noise = [torch.randn(parameter.shape, generator=generator).double() for parameter in parameters]
    weights = [torch.rand(parameter.shape, generator=generator).double() + 0.5 for parameter in parameters]

    def loss() -> float:
        return float(sum((w * p * p).sum() for w, p in zip(weights, parameters, strict=True)))

    before = [parameter.detach().clone() for parameter in parameters]
    projected = sum((2 * w * p * z).sum() for w, p, z in zip(weights, before, noise, strict=True))
    mezo_step(parameters, lambda: noise, loss, 1e-3, 0.05)
    for parameter, old, direction in zip(parameters, before, noise, strict=True):
        torch.testing.assert_close(parameter.detach(), old - 0.05 * projected * direction, atol=1e-9, rtol=1e-9)


@torch.no_grad()
def test_it_lowers_the_loss_and_leaves_the_model_as_it_was(accuracy_task: Prepared) -> None:
    model = accuracy_task.model
    before = [parameter.clone() for parameter in model.model.parameters()]

    def untouched(part: str) -> tuple[float, float]:
        def scores(rows: Sequence[int]) -> torch.Tensor:
            return model.last_hidden([accuracy_task.examples[row] for row in rows]) @ accuracy_task.words.T

        return measured(all_scores(accuracy_task, scores, part), accuracy_task.labels_of(part))

    _, at_first = untouched("validation")
    found = Mezo(learning_rate=1e-3).run(accuracy_task, 0, Budget(steps=4 * POINTS))
    passes, losses = zip(*found.curve, strict=True)
    assert passes == tuple(2 * 16 * 4 * point for point in range(1, POINTS + 1))
    assert found.example_passes == passes[-1]
    assert found.validation_loss == pytest.approx(losses[-1])
    assert found.validation_loss < at_first
    assert all(torch.equal(now, then) for now, then in zip(model.model.parameters(), before, strict=True))
    assert untouched("validation")[1] == at_first


def test_a_seed_makes_the_same_run_and_another_one_another(accuracy_task: Prepared) -> None:
    method = Mezo(learning_rate=1e-3)
    first, again, other = (method.run(accuracy_task, seed, Budget(steps=4)).curve for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert method.settings(Budget(steps=4))["learning_rate"] == 1e-3
    assert method.settings(Budget(steps=4, learning_rate=1e-2))["learning_rate"] == 1e-2

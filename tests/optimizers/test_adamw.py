"""AdamW against PyTorch's own, and across a stop in the middle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seedtune.runtime.optimizers.adamw import AdamW, AdamWSettings

PARAMETERS, STEPS = 64, 40
pytestmark = pytest.mark.traced


def gradients() -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    # Some parameters never have a gradient, and sizes differ by orders of magnitude.
    scale = np.where(np.arange(PARAMETERS) % 7 == 0, 0.0, 10.0 ** (np.arange(PARAMETERS) % 5 - 3))
    return [(scale * generator.standard_normal(PARAMETERS)).astype(np.float32) for _ in range(STEPS)]


def moved(optimizer: AdamW, values: np.ndarray, first: int, last: int) -> np.ndarray:
    for step, gradient in list(enumerate(gradients()))[first:last]:
        optimizer.move(step, values, gradient.copy(), float(np.linalg.norm(gradient.astype(np.float64))))
    return values


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("clip_norm", [0.5, 100.0])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_steps_are_those_of_pytorch(weight_decay: float, clip_norm: float, schedule: str) -> None:
    settings = AdamWSettings(1e-2, schedule, weight_decay=weight_decay, clip_norm=clip_norm)  # type: ignore[arg-type]
    found = moved(settings.build(STEPS), np.ones(PARAMETERS, np.float32), 0, STEPS)

    parameter = torch.nn.Parameter(torch.ones(PARAMETERS))
    reference = torch.optim.AdamW([parameter], lr=1e-2, weight_decay=weight_decay, eps=1e-8)
    for step, gradient in enumerate(gradients()):
        reference.param_groups[0]["lr"] = 1e-2 * ((STEPS - step) / STEPS if schedule == "linear" else 1.0)
        parameter.grad = torch.from_numpy(gradient.copy())
        torch.nn.utils.clip_grad_norm_([parameter], clip_norm)
        reference.step()
    assert np.abs(found - 1).max() > 1e-2
    np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=2e-4, atol=2e-6)


def test_who_goes_on_from_kept_moments_gets_the_same_bits() -> None:
    whole = moved(AdamWSettings().build(STEPS), np.zeros(PARAMETERS, np.float32), 0, STEPS)

    first = AdamWSettings().build(STEPS)
    values = moved(first, np.zeros(PARAMETERS, np.float32), 0, 17)
    assert first.first_moment is not None
    assert first.second_moment is not None
    second = AdamWSettings().build(STEPS)
    second.restore(17, first.first_moment.copy(), first.second_moment.copy())
    assert moved(second, values, 17, STEPS).tobytes() == whole.tobytes()


def test_a_long_gradient_is_shortened_and_a_short_one_is_not() -> None:
    settings = AdamWSettings(1e-2, "constant", beta1=0.0, beta2=0.0, weight_decay=0.0, clip_norm=1.0)
    for length in (0.5, 50.0):
        optimizer = settings.build(STEPS)
        values = np.zeros(2, np.float32)
        optimizer.move(0, values, np.array([length, 0], np.float32), length)
        assert optimizer.first_moment is not None
        assert optimizer.first_moment[0] == pytest.approx(min(length, 1.0))

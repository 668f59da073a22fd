"""Attack, losses and heads are what plain versions of them say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedtune import SeedTuneError
from seedtune.exporter.recipes.asymmetric.attack import descended, other_classes
from seedtune.exporter.recipes.asymmetric.evaluation import HEADS, Head, accuracy, under_attack
from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet
from seedtune.exporter.recipes.asymmetric.training import Learning, shifted
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings

pytestmark = pytest.mark.traced


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(count: int = 30, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = seeded(seed)
    return torch.rand(count, 1, 8, 8, generator=generator), torch.randint(0, 3, (count,), generator=generator)


def test_an_attack_on_a_linear_model_ends_in_the_corner_that_algebra_says() -> None:
    pictures, _labels = some()
    weights = torch.randn(2, 64, generator=seeded(1))

    def loss(shown: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(shown.flatten(1) @ weights.T, torch.zeros(30).long(), reduction="sum")

    found = descended(loss, pictures, 0.1, 40, 0.02, seeded())
    # The target's lead is linear, so each value goes as far as it may by the sign of its weight.
    corner = pictures + 0.1 * (weights[0] - weights[1]).sign().reshape(1, 1, 8, 8)
    torch.testing.assert_close(found, corner.clamp(0, 1), atol=1e-6, rtol=0)


def test_an_attack_stays_within_its_bound_and_goes_where_it_is_sent() -> None:
    pictures, labels = some()
    learning = Learning(pictures, labels, 3, AsymmetricSettings(robust_dimensions=6))
    targets = other_classes(labels, 3, seeded(3))
    before = [parameter.clone() for parameter in learning.net.parameters()]
    # Ten are sent toward a class, ten away from their own, ten both ways.
    aimed, away = torch.arange(30) < 20, torch.arange(30) >= 10
    found = learning.attacked(pictures, labels, targets, aimed, away, 0.2, seeded(4))
    assert (found - pictures).abs().max() <= 0.2 + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    aims = []
    for scores in (learning.net(pictures), learning.net(found)):
        toward = functional.cross_entropy(scores[0], targets, reduction="none")
        right = functional.cross_entropy(scores[1], labels, reduction="none")
        aims.append(toward * aimed - right * away)
    assert (aims[1] < aims[0]).sum() >= 28
    for tens in (aims[0] - aims[1]).split(10):
        assert tens.mean() > 0.005
    for parameter, was in zip(learning.net.parameters(), before, strict=True):
        assert torch.equal(parameter, was)
        assert parameter.grad is None


def test_targets_are_every_other_class_alike() -> None:
    labels = torch.arange(4).repeat(3000)
    found = other_classes(labels, 4, seeded())
    assert not (found == labels).any()
    for label in range(4):
        counts = torch.bincount(found[labels == label], minlength=4).double() / 3000
        expected = torch.full((4,), 1 / 3, dtype=torch.float64)
        expected[label] = 0
        # Four standard deviations of 3,000 draws.
        torch.testing.assert_close(counts, expected, atol=0.035, rtol=0)


def test_the_loss_is_the_five_of_the_formula_and_its_gradient_torchs() -> None:
    pictures, labels = some(12)
    settings = AsymmetricSettings(robust_weight=0.7, target_weight=0.3, target_share=0.5, attack_steps=3)
    learning = Learning(pictures, labels, 3, settings)
    rows = torch.arange(12)
    chance = learning._generator.get_state()
    found = torch.autograd.grad(learning.loss(pictures, rows, 0.2), list(learning.net.parameters()))
    learning._generator.set_state(chance)
    targets = other_classes(labels, 3, learning._generator)
    aimed = torch.arange(12) < 6
    moved = learning.attacked(pictures, labels, targets, aimed, ~aimed, 0.2, learning._generator)
    joint, robust, non_robust, _z_r, _z_n = learning.net(pictures)
    _joint, robust_after, non_robust_after, _z_r, _z_n = learning.net(moved)

    def entropy(scores: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        return -(scores - scores.logsumexp(1, keepdim=True))[torch.arange(len(said)), said].mean()

    plain = entropy(joint, labels) + entropy(robust, labels) + entropy(non_robust, labels)
    loss = plain + 0.7 * entropy(robust_after, labels) + 0.3 * entropy(non_robust_after[:6], targets[:6])
    expected = torch.autograd.grad(loss, list(learning.net.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_the_joint_classifier_reads_both_heads_and_each_head_its_own() -> None:
    net = AsymmetricNet((3, 9, 12), 4, 6, 5, seeded())
    found = net.answers(torch.rand(2, 3, 9, 12, generator=seeded(1)))
    assert (found.z_r.shape, found.z_n.shape) == ((2, 6), (2, 5))
    both = torch.cat([found.z_r, found.z_n], 1)
    torch.testing.assert_close(found.logits, both @ net.joint.weight.T + net.joint.bias)
    torch.testing.assert_close(found.robust, found.z_r @ net.robust.weight.T + net.robust.bias)
    torch.testing.assert_close(found.non_robust, found.z_n @ net.non_robust.weight.T + net.non_robust.bias)
    with pytest.raises(SeedTuneError, match="too small for the net"):
        AsymmetricNet((1, 3, 8), 2, 1, 1, seeded())


def test_each_picture_is_moved_whole_by_itself_with_black_coming_in() -> None:
    pictures = 0.1 + torch.rand(40, 2, 5, 7, generator=seeded())
    padded = functional.pad(pictures, (2, 2, 2, 2))
    ways = []
    for moved, wide in zip(shifted(pictures, 2, seeded(1)), padded, strict=True):
        found = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(moved, wide[:, down : down + 5, right : right + 7])
        ]
        assert len(found) == 1
        ways += found
    # Of 25 ways 40 pictures take most.
    assert len(set(ways)) > 12
    assert shifted(pictures, 0, seeded()) is pictures


def test_the_librarys_attack_keeps_to_the_bound_and_leaves_chance_as_it_was() -> None:
    pictures, _labels = some()
    net = AsymmetricNet((1, 8, 8), 3, 40, 40, seeded(2)).eval()
    numpy_state, torch_state = str(np.random.get_state()), torch.get_rng_state()
    for head in HEADS:
        model = Head(net, head).eval()
        said = model(pictures).argmax(1).numpy()
        found = [under_attack(model, pictures.numpy(), said, 0.3, seed=5) for _again in range(2)]
        np.testing.assert_array_equal(found[0], found[1])
        assert np.abs(found[0] - pictures.numpy()).max() <= 0.3 + 1e-6
        assert accuracy(model, pictures.numpy(), said) == 1
        plain, moved = (model(shown) for shown in (pictures, torch.from_numpy(found[0])))
        labels = torch.from_numpy(said)
        assert functional.cross_entropy(moved, labels) > functional.cross_entropy(plain, labels) + 0.01
    assert str(np.random.get_state()) == numpy_state
    assert torch.equal(torch.get_rng_state(), torch_state)

"""The contrastive graphs against a plain slow version, and their slope against PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.heads import Contrastive, FeatureHeads
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraph
from seedtune.runtime.heads.coupled import CoupledRows
from seedtune.runtime.heads.rows import open_rows
from seedtune.runtime.noise import rademacher

pytestmark = pytest.mark.traced
EPSILON = 1e-2


def embedded(features: torch.Tensor, state: torch.Tensor, bundle: Bundle) -> torch.Tensor:
    """z = h + the change of the form, row by row."""
    objective = bundle.manifest.objective
    assert isinstance(objective, FeatureHeads)
    (target,) = bundle.manifest.state.targets
    flat = state[: target.out_features * target.rank]
    if objective.form == "diagonal":
        return features + features * flat
    matrix = flat.reshape(target.out_features, target.rank)
    if objective.form == "full":
        return features + features @ matrix.T
    fixed = torch.from_numpy(lora_a_values(bundle.manifest.state)[target.lora_a]).to(features.dtype)
    return features + features @ fixed.T @ matrix.T


def slow_losses(batch: Batch, state: torch.Tensor, bundle: Bundle) -> torch.Tensor:
    """-log(e^(s_ip / t) / (e^(s_ip / t) + sum_n w_in e^(s_in / t))), one anchor and one negative at a time."""
    objective = bundle.manifest.objective
    assert isinstance(objective, FeatureHeads)
    loss = objective.loss
    assert isinstance(loss, Contrastive)
    features = torch.from_numpy(batch.arrays["features"]).double()
    z, cosine = embedded(features, state, bundle), torch.nn.functional.cosine_similarity
    found = []
    for anchor, positive in zip(batch.arrays["anchor"], batch.arrays["positive"], strict=True):
        near = torch.exp(cosine(z[anchor], z[positive], 0) / loss.temperature)
        total = near
        for negative in batch.arrays["negative"]:
            if negative in (anchor, positive):
                continue
            weight: Any = 1.0
            if loss.collision_fix:
                weight = 1 - torch.clip(cosine(features[anchor], features[negative], 0), 0, 1)
            total = total + weight * torch.exp(cosine(z[anchor], z[negative], 0) / loss.temperature)
        found.append(-torch.log(near / total))
    return torch.stack(found)


def opened(path: Path) -> tuple[Bundle, Batch, np.ndarray]:
    """A bundle, a batch of eight anchors, and a state that is not zero."""
    bundle = Bundle.open(path)
    rows = open_rows(bundle)
    assert isinstance(rows.objective.loss, Contrastive)
    feeder = CoupledRows(rows, rows.objective.loss)
    (batch,) = feeder.batches(feeder.group(5, 2, 8), 1)
    state = np.random.default_rng(1).normal(0, 0.05, bundle.manifest.state.parameters).astype(np.float32)
    return bundle, batch, state


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"form": "low-rank", "rank": 4},
        {"form": "diagonal", "temperature": 0.1},
        {"collision_fix": False, "imbalance_fix": False},
    ],
)
def test_losses_are_those_of_the_formula_and_their_slope_is_that_of_autograd(
    heads_bundle: Callable[..., Path], options: dict[str, Any]
) -> None:
    bundle, batch, state = opened(heads_bundle("contrastive", **options))
    z = rademacher(77, len(state))
    shared = {"state": state, "seed": np.array([77], np.int64), "epsilon": np.array([EPSILON], np.float32)}
    probe = MappedGraph(bundle.graph_path("probe"), 1)
    ((_, (plus, minus)),) = probe.run(["loss_plus", "loss_minus"], [batch], shared)
    wide = torch.from_numpy(state.astype(np.float64))
    for side, sign in ((plus, 1), (minus, -1)):
        expected = slow_losses(batch, wide + sign * EPSILON * torch.from_numpy(z), bundle)
        np.testing.assert_allclose(side, expected, atol=2e-5)
    trained = wide.clone().requires_grad_()
    slow_losses(batch, trained, bundle).mean().backward()
    assert trained.grad is not None
    slope = float(trained.grad.numpy() @ z)
    assert (plus - minus).mean() / (2 * EPSILON) == pytest.approx(slope, rel=0.02, abs=2e-3)
    ((_, (losses, embeddings)),) = MappedGraph(bundle.graph_path("eval"), 1).run(
        ["loss", "embeddings"], [batch], {"state": state}
    )
    np.testing.assert_allclose(losses, slow_losses(batch, wide, bundle), atol=2e-5)
    features = torch.from_numpy(batch.arrays["features"]).double()
    np.testing.assert_allclose(embeddings, embedded(features, wide, bundle), atol=1e-5)


def test_without_any_step_the_embedding_is_the_feature_itself(heads_bundle: Callable[..., Path]) -> None:
    bundle, batch, state = opened(heads_bundle("contrastive"))
    zero = {"state": np.zeros_like(state)}
    ((_, (found,)),) = MappedGraph(bundle.graph_path("eval"), 1).run(["embeddings"], [batch], zero)
    np.testing.assert_array_equal(found, batch.arrays["features"])


def test_without_fixes_it_is_cross_entropy_over_cosines(heads_bundle: Callable[..., Path]) -> None:
    bundle, batch, state = opened(heads_bundle("contrastive", collision_fix=False, imbalance_fix=False))
    anchor, positive, negative = (batch.arrays[name] for name in ("anchor", "positive", "negative"))
    unit = embedded(torch.from_numpy(batch.arrays["features"]), torch.from_numpy(state), bundle)
    unit = torch.nn.functional.normalize(unit)
    near = (unit[anchor] * unit[positive]).sum(1, keepdim=True)
    same = (anchor[:, None] == negative[None]) | (positive[:, None] == negative[None])
    far = (unit[anchor] @ unit[negative].T).masked_fill(torch.from_numpy(same), -torch.inf)
    scores = torch.cat([near, far], dim=1)
    expected = torch.nn.functional.cross_entropy(scores, torch.zeros(len(anchor), dtype=torch.long), reduction="none")
    ((_, (found,)),) = MappedGraph(bundle.graph_path("eval"), 1).run(["loss"], [batch], {"state": state})
    np.testing.assert_allclose(found, expected, atol=2e-5)

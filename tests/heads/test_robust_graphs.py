"""The graphs of robust and non-robust heads against PyTorch's cross-entropy and autograd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from heads_lab import robust

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.bundle.heads import RobustHeads
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraph
from seedtune.runtime.heads.array_rows import ArrayRows
from seedtune.runtime.heads.rows import open_rows
from seedtune.runtime.noise import rademacher

pytestmark = pytest.mark.traced
EPSILON = 1e-2
WEIGHTS = {"adversarial_weight": 0.7, "target_weight": 0.3}


def scores_of(batch: Batch, state: torch.Tensor, bundle: Bundle, ending: str) -> list[torch.Tensor]:
    """Scores of robust, non-robust and joint head, [B, C] each, for clean rows or their twins."""
    arrays, form, fixed = robust(), bundle.manifest.objective.form, lora_a_values(bundle.manifest.state)  # type: ignore[union-attr]
    r, n = (torch.from_numpy(batch.arrays[f"{name}{ending}"]).double() for name in ("z_robust", "z_non_robust"))
    found = []
    inputs = (r, n, torch.cat([r, n], 1))
    for target, x in zip(bundle.manifest.state.targets, inputs, strict=True):
        whole = np.concatenate([arrays[f"w_{target.name}"], arrays[f"b_{target.name}"][:, None]], axis=1)
        start, read = torch.from_numpy(whole).double(), torch.cat([x, torch.ones(len(x), 1)], 1)
        part = state[target.offset : target.offset + target.out_features * target.rank]
        if form == "diagonal":
            found.append(read @ (start * (1 + part)).T)
            continue
        change = part.reshape(target.out_features, target.rank)
        if form == "low-rank":
            change = change @ torch.from_numpy(fixed[target.lora_a]).double()
        found.append(read @ (start + change).T)
    return found


def slow_losses(batch: Batch, state: torch.Tensor, bundle: Bundle) -> torch.Tensor:
    """CE(joint, y) + CE(r, y) + CE(n, y) + a CE(r(x_a), y) + b CE(n(x_a), t), [B]."""
    label, target = (torch.from_numpy(batch.arrays[name]) for name in ("label", "target"))
    partner = torch.from_numpy(batch.arrays["partner"])

    def entropy(scores: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(scores, wanted, reduction="none")

    total = sum(entropy(scores, label) for scores in scores_of(batch, state, bundle, ""))
    twins = scores_of(batch, state, bundle, "_adversarial")
    return total + 0.7 * partner * entropy(twins[0], label) + 0.3 * partner * entropy(twins[1], target)


@pytest.mark.parametrize("form", ["full", "low-rank", "diagonal"])
def test_losses_are_those_of_the_formula_and_their_slope_is_that_of_autograd(
    heads_bundle: Callable[..., Path], form: str
) -> None:
    bundle = Bundle.open(heads_bundle("heads", form=form, rank=3, **WEIGHTS))
    rows = open_rows(bundle)
    assert isinstance(rows.objective.loss, RobustHeads)
    feeder = ArrayRows(rows, rows.split("train"))
    batches = list(feeder.batches(np.arange(40), 25))
    assert [len(batch.index) for batch in batches] == [25, 15]
    (batch,) = feeder.batches(np.arange(40), 40)
    assert 0 < batch.arrays["partner"].sum() < 40
    state = np.random.default_rng(4).normal(0, 0.1, bundle.manifest.state.parameters).astype(np.float32)
    z = rademacher(9, len(state))
    shared: dict[str, np.ndarray] = {
        "state": state,
        "seed": np.array([9], np.int64),
        "epsilon": np.array([EPSILON], np.float32),
    }
    probe = MappedGraph(bundle.graph_path("probe"), 1)
    ((_, (plus, minus)),) = probe.run(["loss_plus", "loss_minus"], [batch], shared)
    wide = torch.from_numpy(state.astype(np.float64))
    for side, sign in ((plus, 1), (minus, -1)):
        expected = slow_losses(batch, wide + sign * EPSILON * torch.from_numpy(z), bundle)
        np.testing.assert_allclose(side, expected, rtol=2e-5, atol=2e-5)
    trained = wide.clone().requires_grad_()
    slow_losses(batch, trained, bundle).mean().backward()
    assert trained.grad is not None
    assert (plus - minus).mean() / (2 * EPSILON) == pytest.approx(float(trained.grad.numpy() @ z), rel=0.02, abs=1e-2)
    ((_, (losses, scores, said)),) = MappedGraph(bundle.graph_path("eval"), 1).run(
        ["loss", "log_probabilities", "predictions"], [batch], {"state": state}
    )
    np.testing.assert_allclose(losses, slow_losses(batch, wide, bundle), rtol=2e-5, atol=2e-5)
    clean, twins = (scores_of(batch, wide, bundle, ending) for ending in ("", "_adversarial"))
    np.testing.assert_allclose(scores, torch.log_softmax(clean[2], 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(said, torch.stack([each.argmax(1) for each in (*clean, *twins)], 1))


def test_without_any_step_the_heads_are_those_that_were_exported(heads_bundle: Callable[..., Path]) -> None:
    bundle = Bundle.open(heads_bundle("heads", form="low-rank", rank=3, **WEIGHTS))
    rows, arrays = open_rows(bundle), robust()
    (batch,) = ArrayRows(rows, rows.split("test")).batches(np.arange(20), 20)
    zero = {"state": np.zeros(bundle.manifest.state.parameters, np.float32)}
    ((_, (scores,)),) = MappedGraph(bundle.graph_path("eval"), 1).run(["log_probabilities"], [batch], zero)
    places = np.sort(arrays["test"])[:20]
    x = np.concatenate([arrays["z_robust"], arrays["z_non_robust"]], axis=1)[places]
    expected = torch.log_softmax(torch.from_numpy(x @ arrays["w_joint"].T + arrays["b_joint"]), 1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)

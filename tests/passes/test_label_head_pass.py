"""The head of a state against its formula in PyTorch, float64; at zero it changes no bit."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from graph_lab import FLOAT, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.label_head import HeadPerturbation, add_label_head
from seedtune.runtime.bundle.manifest import Head

pytestmark = pytest.mark.traced
ROWS, LABELS, FEATURES, N, EPSILON = 4, 3, 5, 96, 0.25
HEAD = Head(64, LABELS, FEATURES)
GENERATOR = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.standard_normal(shape).astype(np.float32)


SCORES, HIDDEN = 3 * normal(2 * ROWS, LABELS), 40 * normal(2 * ROWS, FEATURES)
STATE, NOISE = normal(N), GENERATOR.choice([-1.0, 1.0], N).astype(np.float32)


def graph_with_head(perturbed: bool) -> ir.Model:
    scores, hidden = make_value("scores", FLOAT, ["rows", LABELS]), make_value("hidden", FLOAT, ["rows", FEATURES])
    state, noise, epsilon = (
        make_value("state", FLOAT, [N]),
        make_value("noise", FLOAT, [N]),
        make_value("e", FLOAT, [1]),
    )
    first = ir.node("Identity", [scores])
    model = make_graph([scores, hidden, state, noise, epsilon], [], [first], [])

    def noise_of(emit: Emitter, head: Head) -> ir.Value:
        last = head.offset + head.parameters
        return emit.op("Slice", noise, emit.integers(head.offset), emit.integers(last), emit.integers(0))

    perturbation = HeadPerturbation(epsilon, noise_of) if perturbed else None
    total = add_label_head(model.graph, first.outputs[0], hidden, HEAD, state, perturbation)
    set_outputs(model.graph, {"total": (total, FLOAT, ["rows", LABELS])})
    return model


def scores_of(perturbed: bool, state: np.ndarray, hidden: np.ndarray = HIDDEN) -> np.ndarray:
    feeds = {"scores": SCORES, "hidden": hidden, "state": state, "noise": NOISE, "e": np.array([EPSILON], np.float32)}
    (found,) = run(graph_with_head(perturbed), feeds)
    return found


def plain(states: np.ndarray) -> np.ndarray:
    """``(1 + s) lm + W u + b``, each row with its own state [2 * ROWS, N]."""
    rows = []
    for lm, h, state in zip(SCORES, HIDDEN, states, strict=True):
        own = torch.from_numpy(state.astype(np.float64))[HEAD.offset :]
        layer = torch.nn.Linear(FEATURES, LABELS, dtype=torch.float64)
        layer.weight.data = own[: LABELS * FEATURES].reshape(LABELS, FEATURES)
        layer.bias.data = own[LABELS * FEATURES : LABELS * (FEATURES + 1)]
        unit = torch.nn.functional.normalize(torch.from_numpy(h.astype(np.float64)), dim=0)
        scale = own[LABELS * (FEATURES + 1)]
        rows.append(((1 + scale) * torch.from_numpy(lm.astype(np.float64)) + layer(unit)).detach().numpy())
    return np.array(rows)


def test_operators_of_the_head_are_plain_ones() -> None:
    assert set(op_types(graph_with_head(True).graph)) == {
        "Identity", "Mul", "ReduceSum", "Add", "Sqrt", "Div", "Slice", "Reshape", "Gemm", "Concat", "Neg", "Shape",
        "Expand",
    }  # fmt: skip


def test_scores_are_those_of_the_formula() -> None:
    np.testing.assert_allclose(scores_of(False, STATE), plain(np.tile(STATE, (2 * ROWS, 1))), rtol=1e-5, atol=1e-5)


def test_each_side_has_its_own_noise() -> None:
    signs = np.repeat([EPSILON, -EPSILON], ROWS)[:, None].astype(np.float32)
    np.testing.assert_allclose(scores_of(True, STATE), plain(STATE + signs * NOISE), rtol=1e-5, atol=1e-5)


def test_a_state_of_zero_changes_no_bit() -> None:
    assert scores_of(False, np.zeros(N, np.float32)).tobytes() == SCORES.tobytes()


def test_a_hidden_state_of_zeros_gives_finite_scores() -> None:
    found = scores_of(False, STATE, np.zeros_like(HIDDEN))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_length_of_a_hidden_state_does_not_matter(scale: float) -> None:
    np.testing.assert_allclose(
        scores_of(False, STATE, (HIDDEN * scale).astype(np.float32)), scores_of(False, STATE), rtol=1e-4, atol=1e-4
    )

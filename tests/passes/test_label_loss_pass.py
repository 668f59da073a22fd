"""Cross-entropy over the label words, per example."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import FLOAT, INT64, make_graph, make_value, op_types, run

from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.label_loss import add_label_loss


def loss_graph() -> ir.Model:
    """scores [B, L], label [B] -> losses, log_probabilities."""
    scores, label = make_value("scores", FLOAT, ["batch", "labels"]), make_value("label", INT64, ["batch"])
    model = make_graph([scores, label], [], [], [])
    loss = add_label_loss(model.graph, scores, label)
    set_outputs(
        model.graph,
        {
            "losses": (loss.losses, FLOAT, ["batch"]),
            "log_probabilities": (loss.log_probabilities, FLOAT, ["batch", "labels"]),
        },
    )
    return model


def test_operators_of_the_loss() -> None:
    assert op_types(loss_graph().graph) == ["LogSoftmax", "Unsqueeze", "GatherElements", "Squeeze", "Neg"]


@pytest.mark.parametrize(("rows", "labels"), [(1, 2), (1, 1), (7, 3), (64, 20)])
def test_losses_are_the_negated_log_softmax_at_the_label(rows: int, labels: int) -> None:
    generator = np.random.default_rng(rows)
    scores = (10 * generator.standard_normal((rows, labels))).astype(np.float32)
    label = generator.integers(0, labels, rows)
    losses, log_probabilities = run(loss_graph(), {"scores": scores, "label": label})
    wide = scores.astype(np.float64)
    expected = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(log_probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(losses, -expected[np.arange(rows), label], atol=1e-5)
    assert losses.shape == (rows,)


def test_scores_far_apart_do_not_overflow() -> None:
    losses, _ = run(loss_graph(), {"scores": np.array([[3e4, -3e4]], np.float32), "label": np.array([1])})
    np.testing.assert_array_equal(losses, np.array([6e4], np.float32))

"""Completion tasks in graphs: losses over the vocabulary in parts, against transformers' own whole logits."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir
import pytest
import torch
from export_lab import VOCABULARY, Export, export_in_memory, largest_difference, random_model, random_state
from gradient_lab import autograd, relative_error
from graph_lab import input_names, session_of
from suffix_families import config_of
from suffix_rows_lab import SplitRow, split_rows, suffix_feeds

from seedtune.exporter.graphs import scoring
from seedtune.exporter.passes import completion_loss
from seedtune.exporter.passes.finish import finish
from seedtune.exporter.passes.linear_layout import Linear
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.noise import rademacher
from seedtune.runtime.task.example import Example

pytestmark = pytest.mark.traced

SIZES = ((6, 3), (2, 5), (0, 4))
SEED, EPSILON = 77, 5e-2
# Not a divisor of the vocabulary of 160 words: the last part is smaller.
CHUNK = 50


@pytest.fixture(scope="module", autouse=True)
def small_parts() -> Iterator[None]:
    """The tiny vocabulary in four parts."""
    add = functools.partial(completion_loss.add_completion_loss, chunk=CHUNK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "add_completion_loss", add)
        yield


@pytest.fixture(scope="module", params=["llama", "opt", "gemma2"])
def export(request: pytest.FixtureRequest) -> Export:
    """Tied head, a head of its own kind, and soft-capped logits."""
    family, config = config_of(request.param)
    exported = export_in_memory(random_model(config, family), family, context_storage="fp32")
    exported.words = ()
    return exported


@pytest.fixture(scope="module")
def rows() -> list[SplitRow]:
    """Responses of different lengths."""
    return split_rows("causal", SIZES)


@pytest.fixture(scope="module")
def targets(rows: list[SplitRow]) -> list[np.ndarray]:
    """Words from all parts of the vocabulary, its first and last among them."""
    generator = np.random.default_rng(9)
    drawn = [generator.integers(0, 160, len(row.suffix)) for row in rows]
    drawn[0][:2] = 0, 159
    return drawn


def feeds_of(export: Export, rows: list[SplitRow], targets: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What both graphs read besides the state."""
    feeds = suffix_feeds(session_of(export.graph("context"), export.tensors()), "causal", rows)
    wanted = np.zeros_like(feeds["ids"])
    for index, target in enumerate(targets):
        wanted[index, : len(target)] = target
    return {name: value for name, value in feeds.items() if name not in ("position", "label")} | {"target": wanted}


def expected(
    export: Export, rows: list[SplitRow], targets: list[np.ndarray], state: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Losses and token accuracies, [B] each, one row at a time."""
    tuned = SuffixTunedModel(export.model, "causal", export.layout, state)
    losses, accuracies = [], []
    for row, target in zip(rows, targets, strict=True):
        ids = torch.from_numpy(row.ids[None])
        suffix = torch.zeros(ids.shape, dtype=torch.bool)
        suffix[0, row.suffix] = True
        with torch.no_grad():
            scores = torch.log_softmax(tuned(ids, torch.ones_like(ids), suffix)[0, row.suffix], dim=-1).numpy()
        losses.append(-scores[np.arange(len(target)), target].mean())
        accuracies.append((scores.argmax(axis=1) == target).mean())
    return np.array(losses), np.array(accuracies)


def test_loss_and_token_accuracy_are_those_of_whole_logits(
    export: Export, rows: list[SplitRow], targets: list[np.ndarray]
) -> None:
    state = random_state(export.layout, 5e-2)
    # The words that the model finds most likely: an accuracy above zero.
    tuned = SuffixTunedModel(export.model, "causal", export.layout, state)
    ids = torch.from_numpy(rows[1].ids[None])
    suffix = torch.zeros(ids.shape, dtype=torch.bool)
    suffix[0, rows[1].suffix] = True
    with torch.no_grad():
        likely = tuned(ids, torch.ones_like(ids), suffix)[0, rows[1].suffix].argmax(dim=-1).numpy()
    wanted = [targets[0], np.where(np.arange(len(likely)) < 3, likely, targets[1]), targets[2]]
    session = session_of(export.graph("eval"), export.tensors())
    feeds = feeds_of(export, rows, wanted) | {"state": state}
    loss, accuracy = session.run(["loss", "token_accuracy"], feeds)
    losses, accuracies = expected(export, rows, wanted, state)
    assert largest_difference(loss, losses) < 1e-5
    np.testing.assert_allclose(accuracy, accuracies, atol=1e-6)
    assert accuracy[1] >= 0.6


def test_both_sides_of_a_probe_are_the_losses_of_the_perturbed_states(
    export: Export, rows: list[SplitRow], targets: list[np.ndarray]
) -> None:
    state = random_state(export.layout, 5e-2)
    feeds = feeds_of(export, rows, targets) | {"state": state}
    feeds |= {"seed": np.array([SEED], np.int64), "epsilon": np.array([EPSILON], np.float32)}
    sides = session_of(export.graph("probe"), export.tensors()).run(["loss_plus", "loss_minus"], feeds)
    change = np.float32(EPSILON) * rademacher(SEED, len(state))
    for found, sign in zip(sides, (1, -1), strict=True):
        assert largest_difference(found, expected(export, rows, targets, state + sign * change)[0]) < 1e-5


def computed(value: ir.Value | None) -> bool:
    return value is not None and value.producer() is not None


def test_no_tensor_of_rows_times_vocabulary_is_made(export: Export) -> None:
    graph = finish(export.graph("probe")).graph
    gathered = [node for node in graph if node.op_type == "Gather" and computed(node.inputs[1])]
    parts = [node for node in gathered if any(use.node.op_type == "Gemm" for use in node.outputs[0].uses())]
    assert len(parts) >= 4
    weights = {input_names(node)[0] for node in parts}
    for node in graph:
        if node.op_type in ("Gemm", "MatMul"):
            assert not weights & set(input_names(node))


def test_a_head_that_cannot_be_computed_in_parts_is_refused(export: Export) -> None:
    find_head = completion_loss.find_head
    with pytest.MonkeyPatch.context() as patch:

        def find(graph: ir.Graph, linears: Sequence[Linear]) -> completion_loss.Head:
            head = find_head(graph, linears)
            return completion_loss.Head(head.logits, head.linear, head.gemm, (next(iter(graph)),))

        patch.setattr(completion_loss, "find_head", find)
        with pytest.raises(SeedTuneError, match="in parts"):
            export.graph("eval")


def test_the_gradient_is_that_of_autograd(export: Export, rows: list[SplitRow], targets: list[np.ndarray]) -> None:
    state, feeds = random_state(export.layout, 5e-2), feeds_of(export, rows, targets)
    session = session_of(export.graph("gradient"), export.tensors())
    losses, gradient = session.run(["loss", "gradient"], feeds | {"state": state})
    examples = [
        Example(row.ids, row.position, 0, row.suffix, target) for row, target in zip(rows, targets, strict=True)
    ]
    model = export.model.requires_grad_(False)
    expected_losses, expected = autograd(model, "causal", export.layout, examples, state, ())
    assert largest_difference(losses, expected_losses) < 1e-4
    assert relative_error(gradient, expected) < 1e-4


def test_no_two_parts_of_the_vocabulary_wait_for_each_other(export: Export) -> None:
    """A part's scores are computed again on the way back: what the loss made of them is read by the loss alone."""
    model = finish(export.graph("gradient"))
    order = {node: place for place, node in enumerate(model.graph)}
    of_head = [
        node
        for node in model.graph
        if node.op_type == "Gather" and any(use.node.op_type == "Gemm" for use in node.outputs[0].uses())
    ]
    parts = -(-VOCABULARY // CHUNK)
    assert len(of_head) == 2 * parts
    for gather in of_head[:parts]:
        (product,) = [use.node for use in gather.outputs[0].uses()]
        assert max(order[use.node] for use in product.outputs[0].uses()) < order[of_head[parts]]

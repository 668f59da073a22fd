"""Scope "suffix" for every family: graphs, and the module that replays a state in PyTorch, against the definition."""

import numpy as np
import pytest
import torch
from export_lab import export_in_memory, largest_difference, random_model, random_state
from gradient_lab import autograd, relative_error
from suffix_families import CASES, config_of
from suffix_oracle import plain_scores, suffix_losses, suffix_scores
from suffix_rows_lab import PADDING, SplitGraphs, SplitRow, split_rows

from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.noise import rademacher
from seedtune.runtime.task.example import Example

pytestmark = pytest.mark.traced

ALLOWED = 1e-4
SEED, EPSILON = 77, 5e-2


@pytest.fixture(scope="module", params=CASES)
def graphs(request: pytest.FixtureRequest) -> SplitGraphs:
    """A model with state at every linear layer, and contexts stored as they are."""
    family, config = config_of(request.param)
    model = random_model(config, family)
    return SplitGraphs(export_in_memory(model, family, targets="all", context_storage="fp32"))


@pytest.fixture(scope="module")
def state(graphs: SplitGraphs) -> np.ndarray:
    """Far from zero everywhere."""
    return random_state(graphs.export.layout, 5e-2)


@pytest.fixture(scope="module")
def rows(graphs: SplitGraphs) -> list[SplitRow]:
    """Different contexts and suffixes, one row without a context."""
    return split_rows(graphs.export.family)


def by_module(graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray) -> np.ndarray:
    """Log-probabilities by `SuffixTunedModel` over rows padded on the right, [B, L]."""
    shape = (len(rows), max(len(row.ids) for row in rows))
    ids, mask, suffix = np.full(shape, PADDING), np.zeros(shape, np.int64), np.zeros(shape, bool)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)], mask[index, : len(row.ids)], suffix[index, row.suffix] = row.ids, 1, True
    export = graphs.export
    tuned = SuffixTunedModel(export.model, export.family, export.layout, state)
    with torch.no_grad():
        logits = tuned(*map(torch.from_numpy, (ids, mask, suffix)))
    at_label = logits[torch.arange(len(rows)), torch.tensor([row.position for row in rows])]
    return torch.log_softmax(at_label[:, list(export.words)], dim=-1).numpy()


def test_a_zero_state_is_the_plain_model(graphs: SplitGraphs, rows: list[SplitRow]) -> None:
    zero = np.zeros(graphs.export.layout.parameters, np.float32)
    expected = plain_scores(graphs.export, rows)
    assert largest_difference(graphs.evaluate(graphs.feeds(rows), zero), expected) < ALLOWED
    assert largest_difference(by_module(graphs, rows, zero), expected) < ALLOWED


def test_a_state_acts_at_the_suffix_and_nowhere_else(
    graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    expected = suffix_scores(graphs.export, rows, state)
    assert largest_difference(graphs.evaluate(graphs.feeds(rows), state), expected) < ALLOWED
    assert largest_difference(by_module(graphs, rows, state), expected) < ALLOWED
    # The comparison can fail: a row that is all suffix, and so without the definition's point, is not the only one.
    everywhere = [SplitRow(row.ids, np.arange(len(row.ids)), row.position, row.label) for row in rows]
    elsewhere = suffix_scores(graphs.export, everywhere, state)
    moved = np.abs(expected - plain_scores(graphs.export, rows)).max(axis=1)
    assert moved.min() > 5 * ALLOWED
    with_context = [index for index, row in enumerate(rows) if len(row.context)]
    assert np.abs(expected - elsewhere).max(axis=1)[with_context].min() > 5 * ALLOWED


def test_each_side_of_a_probe_is_the_loss_at_its_own_state(
    graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    noise = rademacher(SEED, len(state))
    found = graphs.probe(graphs.feeds(rows), state, SEED, EPSILON)
    expected = [suffix_losses(graphs.export, rows, state + np.float32(sign * EPSILON) * noise) for sign in (1, -1)]
    assert largest_difference(found, np.stack(expected)) < ALLOWED
    assert largest_difference(*expected) > 5 * ALLOWED


def test_a_row_alone_gives_what_it_gives_in_a_batch(
    graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    together = graphs.probe(graphs.feeds(rows), state, SEED, EPSILON)
    apart = [graphs.probe(graphs.feeds([row]), state, SEED, EPSILON)[:, 0] for row in rows]
    assert largest_difference(np.stack(apart, axis=1), together) < 1e-5


def test_the_gradient_is_that_of_autograd(graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray) -> None:
    export = graphs.export
    losses, gradient = graphs.gradient(graphs.feeds(rows), state)
    examples = [Example(row.ids, row.position, row.label, row.suffix) for row in rows]
    expected_losses, expected = autograd(
        export.model.requires_grad_(False), export.family, export.layout, examples, state, export.words
    )
    assert largest_difference(losses, expected_losses) < ALLOWED
    assert relative_error(gradient, expected) < ALLOWED
    assert np.linalg.norm(expected) > 1e-2


def test_padding_of_contexts_and_suffixes_does_not_reach_the_gradient(
    graphs: SplitGraphs, rows: list[SplitRow], state: np.ndarray
) -> None:
    _, expected = graphs.gradient(graphs.feeds(rows), state)
    filler = np.random.default_rng(4)
    _, padded = graphs.gradient(graphs.feeds(rows, context_padding=3, suffix_padding=2, filler=filler), state)
    assert relative_error(padded, expected) < 1e-5

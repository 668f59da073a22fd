"""Gauss-Newton over a graph that is a formula, and over a real one: slopes, losses, and where its step leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedtune.runtime.batches.token_rows import WholeRows
from seedtune.runtime.batches.types import Batch, Work
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.differences import Differences, relative, solve
from seedtune.runtime.estimators.gauss_newton import LENGTHS, GaussNewton, GaussNewtonSettings
from seedtune.runtime.estimators.scores import SCORES
from seedtune.runtime.estimators.two_sided import TwoSided, TwoSidedSettings
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import derive_seed, rademacher

FEATURES, LABELS, ROWS = 10, 3, 20
SEEDS = [3, 1, 4, 15, 9]
EPSILON = 1e-2


def log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class LinearGraph:
    """A probe graph whose scores of label l are ``x . state[l]``: linear, so that differences are slopes."""

    outputs = ("loss_plus", "loss_minus", *SCORES)
    bend = 0.0

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        for batch in batches:
            made = {}
            for side, sign in (("plus", 1), ("minus", -1)):
                noise = rademacher(int(batch.arrays["seed"][0]), len(shared["state"]))
                weight = (shared["state"] + sign * shared["epsilon"][0] * noise).reshape(LABELS, FEATURES)
                found = log_softmax(scores_of(batch.arrays["x"], weight, self.bend))
                made[f"log_probabilities_{side}"] = found.astype(np.float32)
                made[f"loss_{side}"] = -found[np.arange(len(found)), batch.arrays["label"]].astype(np.float32)
            yield batch.index, [made[name] for name in names]


class EvalGraph:
    """The eval graph beside a `LinearGraph`; its scores may bend farther out."""

    outputs = ("loss",)

    def __init__(self, bend: float = 0.0) -> None:
        self.bend = bend
        self.seen: list[np.ndarray] = []

    def run(
        self, names: Sequence[str], batches: Iterable[Batch], shared: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        assert (list(names), dict(shared)) == (["loss"], {})
        for batch in batches:
            self.seen.append(batch.arrays["state"])
            found = log_softmax(
                scores_of(batch.arrays["x"], batch.arrays["state"].reshape(LABELS, FEATURES), self.bend)
            )
            yield batch.index, [-found[np.arange(len(found)), batch.arrays["label"]].astype(np.float32)]


def scores_of(x: np.ndarray, weight: np.ndarray, bend: float) -> np.ndarray:
    scores = x.astype(np.float64) @ weight.T.astype(np.float64)
    return scores - bend * scores**3


@pytest.fixture(scope="module")
def linear() -> SimpleNamespace:
    """Features, labels and a state of the linear graph."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, LABELS, ROWS)
    x = generator.standard_normal((ROWS, FEATURES)) + np.eye(LABELS, FEATURES)[truth]
    state = 0.1 * generator.standard_normal(LABELS * FEATURES)
    return SimpleNamespace(x=x.astype(np.float32), labels=truth, state=state.astype(np.float32))


def batches(linear: SimpleNamespace, order: Sequence[int], size: int) -> list[Batch]:
    parts = [np.array(order[first : first + size]) for first in range(0, len(order), size)]
    return [Batch({"x": linear.x[part], "label": linear.labels[part]}, part, Work(len(part))) for part in parts]


def test_it_solves_of_exact_slopes_where_scores_are_linear(linear: SimpleNamespace) -> None:
    found = GaussNewton(LinearGraph(), EvalGraph(), EPSILON, 5).measure(
        linear.state, SEEDS, batches(linear, range(ROWS), 7)
    )
    scores = linear.x.astype(np.float64) @ linear.state.reshape(LABELS, FEATURES).T
    noise = np.stack([rademacher(seed, LABELS * FEATURES).reshape(LABELS, FEATURES) for seed in SEEDS], axis=-1)
    slopes = np.einsum("nf,lfk->nlk", linear.x.astype(np.float64), noise)
    rows = Differences(relative(scores), slopes[:, :-1] - slopes[:, -1:], linear.labels)
    expected = solve(rows, derive_seed(SEEDS[0], "gauss_newton_folds"))
    assert found.solution is not None
    assert found.solution.shape == found.loss_plus.shape == found.projected_gradient.shape == (5, 1)
    np.testing.assert_allclose(found.solution[:, 0], expected, rtol=1e-2, atol=1e-4)
    assert found.proposal is found.solution


def test_the_length_is_the_best_of_those_tried_where_scores_bend(linear: SimpleNamespace) -> None:
    rows = batches(linear, range(ROWS), 7)
    whole = GaussNewton(LinearGraph(), EvalGraph(), EPSILON, 5).measure(linear.state, SEEDS, rows).proposal
    chosen = []
    for bend in (0.0, 0.1, 3.0, 30.0, 300.0):
        graph = EvalGraph(bend)
        found = GaussNewton(LinearGraph(), graph, EPSILON, 5).measure(linear.state, SEEDS, rows).proposal
        (ratio,) = {round(float(part / of), 6) for part, of in zip(found[:, 0], whole[:, 0], strict=True)}
        step = sum(c * rademacher(seed, len(linear.state)) for c, seed in zip(whole[:, 0], SEEDS, strict=True))
        losses = {}
        for length in LENGTHS:
            state = (linear.state + length * step).astype(np.float32)
            assert min(np.abs(state - seen).max() for seen in graph.seen) < 1e-6
            found_scores = log_softmax(scores_of(linear.x, state.reshape(LABELS, FEATURES), bend))
            losses[length] = -found_scores[np.arange(ROWS), linear.labels].mean()
        before = log_softmax(scores_of(linear.x, linear.state.reshape(LABELS, FEATURES), 0.0))
        still = -before[np.arange(ROWS), linear.labels].mean()
        best = min(losses, key=losses.__getitem__)
        assert ratio == (best if losses[best] < still else 0.0)
        chosen.append(ratio)
    assert chosen[0] == 1.0
    assert len(set(chosen)) >= 3, chosen


def test_what_the_journal_keeps_is_what_two_sides_measure_along_each_direction(linear: SimpleNamespace) -> None:
    class OneSeed(LinearGraph):
        def run(self, names, batches, shared):
            (seed,) = shared["seed"]
            for batch in batches:
                one = Batch({**batch.arrays, "seed": np.array([seed])}, batch.index, batch.work)
                yield from super().run(names, [one], shared)

    found = GaussNewton(LinearGraph(), EvalGraph(), EPSILON, 5).measure(
        linear.state, SEEDS, batches(linear, range(ROWS), 6)
    )
    for k, seed in enumerate(SEEDS):
        alone = TwoSided(OneSeed(), EPSILON).measure(linear.state, [seed], batches(linear, range(ROWS), 6))
        assert found.loss_plus[k] == alone.loss_plus[0]
        assert found.loss_minus[k] == alone.loss_minus[0]
        assert found.projected_gradient[k] == alone.projected_gradient[0]


def test_neither_order_nor_size_of_the_batches_changes_a_bit(linear: SimpleNamespace) -> None:
    orders = [list(range(ROWS)), list(range(ROWS))[::-1], np.random.default_rng(5).permutation(ROWS).tolist()]
    found = [
        GaussNewton(LinearGraph(), EvalGraph(), EPSILON, 5).measure(linear.state, SEEDS, batches(linear, order, size))
        for order in orders
        for size in (1, 6, ROWS)
    ]
    for other in found[1:]:
        assert other.loss_plus.tobytes() == found[0].loss_plus.tobytes()
        # BLAS may round products of rows otherwise in other company.
        np.testing.assert_allclose(other.proposal, found[0].proposal, rtol=1e-3, atol=1e-6)


def test_losses_that_are_not_finite_reach_the_loop(linear: SimpleNamespace) -> None:
    state = linear.state.copy()
    state[3] = np.nan
    found = GaussNewton(LinearGraph(), EvalGraph(), EPSILON, 5).measure(state, SEEDS, batches(linear, range(ROWS), 6))
    assert np.isnan(found.loss_plus).all()
    assert not found.proposal.any()


@pytest.mark.parametrize("scope", ["all", "suffix", "last"])
def test_a_real_graph_gives_differences_of_the_eval_graph_and_a_step_that_lowers_the_loss(
    bundle_of: Callable[..., Path], tiny_data: SimpleNamespace, scope: str
) -> None:
    from seedtune.runtime.model.feeders import open_feeder

    bundle = Bundle.open(bundle_of("causal", scope, "fp32", "fp32", 1 if scope == "last" else None))
    graphs = MappedGraphs(bundle, 1)
    examples = load_split(tiny_data.train, bundle.compiled_task()).examples[:48]
    feeder = open_feeder(graphs, examples)
    state = 0.02 * rademacher(1, bundle.manifest.state.parameters)
    seeds = list(range(48))
    found = GaussNewtonSettings(directions=48).build(graphs).measure(state, seeds, list(feeder.batches(range(48), 100)))

    def scores_at(values: np.ndarray) -> tuple[np.ndarray, float]:
        scores, losses = np.empty((48, 2)), np.empty(48)
        run = graphs.open("eval").run(["log_probabilities", "loss"], feeder.batches(range(48), 100), {"state": values})
        for index, (log_probabilities, loss) in run:
            scores[index], losses[index] = log_probabilities, loss
        return scores, float(losses.mean())

    base, slopes = np.zeros((48, 1)), np.empty((48, 1, 48))
    for k, seed in enumerate(seeds):
        noise = np.float32(EPSILON) * rademacher(seed, len(state))
        (plus, loss_plus), (minus, _) = scores_at(state + noise), scores_at(state - noise)
        assert found.loss_plus[k, 0] == pytest.approx(loss_plus, abs=1e-5)
        base += (relative(plus) + relative(minus)) / 96
        slopes[:, :, k] = (relative(plus) - relative(minus)) / (2 * EPSILON)
    labels = np.array([example.label for example in examples])
    expected = solve(Differences(base, slopes, labels), derive_seed(0, "gauss_newton_folds"))
    step = sum(c * rademacher(seed, len(state)) for c, seed in zip(expected, seeds, strict=True))
    losses = {length: scores_at((state + length * step).astype(np.float32))[1] for length in LENGTHS}
    length = min(losses, key=losses.__getitem__)
    assert losses[length] < scores_at(state)[1] - 0.005
    # Rounding of a score over the distance of the sides, and a choice of strength that it may tip.
    np.testing.assert_allclose(found.proposal[:, 0], length * expected, atol=0.05 * length * np.abs(expected).max())


def test_a_bundle_of_an_earlier_version_is_refused_by_name(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = MappedGraphs(Bundle.open(tiny_bundle), 1)
    open_graph = older.open

    def without_scores(name: str) -> object:
        graph = open_graph(name)
        graph.outputs = [output for output in graph.outputs if output not in SCORES]
        return graph

    monkeypatch.setattr(older, "open", without_scores)
    for settings, option in (
        (GaussNewtonSettings(), "--estimator gauss-newton"),
        (TwoSidedSettings(objective="f1"), "--objective f1"),
    ):
        with pytest.raises(SeedTuneError, match="export the bundle again") as caught:
            settings.build(older)
        assert option in str(caught.value)
    assert TwoSidedSettings().build(older).objective == "loss"


@pytest.mark.parametrize("seeds", [[], [1, 2, 3]])
def test_another_number_of_seeds_is_refused(linear: SimpleNamespace, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match="5 seeds"):
        GaussNewton(LinearGraph(), EvalGraph(), EPSILON, 5).measure(
            linear.state, seeds, batches(linear, range(ROWS), 6)
        )


def test_labels_and_rows_stay_together_in_a_real_feeder(tiny_bundle: Path, tiny_data: SimpleNamespace) -> None:
    """Feeders give rows of similar length together, so places are not the order of the batches."""
    bundle = Bundle.open(tiny_bundle)
    examples = load_split(tiny_data.train, bundle.compiled_task()).examples[:24]
    feeder = WholeRows(examples, bundle.manifest.language_model.model.padding_id)
    estimator = GaussNewtonSettings(directions=8).build(MappedGraphs(bundle, 1))
    state = np.zeros(bundle.manifest.state.parameters, np.float32)
    one = estimator.measure(state, list(range(8)), list(feeder.batches(range(24), 10**6)))
    other = estimator.measure(state, list(range(8)), list(feeder.batches(range(24), 20)))
    np.testing.assert_allclose(other.proposal, one.proposal, atol=0.05 * np.abs(one.proposal).max())

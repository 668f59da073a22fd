"""What graphs of scope "suffix" are fed: checked against plain arrays, and against the same model fed whole rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from context_lab import block_alone, encoded_rows, suffix_of, without_context

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context import suffix_rows
from seedtune.runtime.context.contexts import Contexts
from seedtune.runtime.context.suffix_rows import SuffixRows
from seedtune.runtime.estimators.two_sided import TwoSided
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.model.evaluation import Evaluation, evaluate
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.noise import rademacher
from seedtune.runtime.task.example import Example

# Of log-probabilities that spread over 1.5; measured on these rows: 1e-6 (fp32), 7e-4 (fp16) and 7e-3 (int8).
ALLOWED = {"fp32": 1e-4, "fp16": 5e-3, "int8": 4e-2}


def mixed(rows: list[Example]) -> list[Example]:
    """Rows of which some have no context, and some have a longer suffix than the others."""
    longer = [
        dataclasses.replace(row, suffix=np.union1d(suffix_of(row), np.arange(len(row.ids) // 2, len(row.ids))))
        for row in rows[2::5]
    ]
    return [*rows, *map(without_context, rows[1::7]), *longer]


def scored(bundle: Bundle, rows: list[Example], limit: int = 200, state: np.ndarray | None = None) -> Evaluation:
    zero = np.zeros(bundle.manifest.state.parameters, np.float32)
    feeder = open_feeder(MappedGraphs(bundle, 1), rows)
    return evaluate(MappedGraphs(bundle, 1), zero if state is None else state, feeder, rows=limit)


def feeder_of(bundle: Bundle, rows: list[Example]) -> SuffixRows:
    return SuffixRows(rows, bundle.manifest.language_model.model.padding_id, Contexts(MappedGraphs(bundle, 1), rows))


@pytest.mark.parametrize(
    ("family", "storage"),
    [("causal", "fp32"), ("causal", "fp16"), ("causal", "int8"), ("masked", "fp32"), ("masked", "int8")],
)
def test_the_untouched_model_says_the_same_of_split_rows_as_of_whole_ones(
    bundle_of: Callable[..., Path], texts: list[str], family: str, storage: str
) -> None:
    split, whole = (Bundle.open(bundle_of(family, *case)) for case in (("suffix", storage), ("all",)))
    rows = encoded_rows(split, texts)
    assert [row.ids.tolist() for row in rows] == [row.ids.tolist() for row in encoded_rows(whole, texts)]
    expected = scored(whole, rows)
    found = scored(split, rows)
    assert found.probabilities is not None
    assert expected.probabilities is not None
    np.testing.assert_allclose(
        np.log(found.probabilities), np.log(expected.probabilities), atol=ALLOWED[storage], rtol=0
    )
    np.testing.assert_allclose(found.losses, expected.losses, atol=ALLOWED[storage], rtol=0)
    assert np.array_equal(found.labels, expected.labels)
    # The rows must differ, or the comparison says little.
    assert np.ptp(expected.losses) > 20 * ALLOWED["fp16"]


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_where_a_row_is_split_does_not_matter_to_the_untouched_model(
    bundle_of: Callable[..., Path], texts: list[str], family: str
) -> None:
    bundle = Bundle.open(bundle_of(family, "suffix"))
    rows = encoded_rows(bundle, texts[:12])
    generator = np.random.default_rng(3)
    expected = scored(bundle, list(map(without_context, rows))).losses
    for _ in range(3):
        moved = []
        for row in rows:
            border = int(generator.integers(0, row.position + 1))
            moved.append(dataclasses.replace(row, suffix=np.arange(border, len(row.ids), dtype=np.int64)))
        np.testing.assert_allclose(scored(bundle, moved).losses, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("limit", [1, 7, 60, 10_000])
@pytest.mark.parametrize("context_bytes", [1, 4096, 1 << 26])
def test_every_row_comes_exactly_once_within_both_limits(
    causal: Bundle, rows: list[Example], monkeypatch: pytest.MonkeyPatch, limit: int, context_bytes: int
) -> None:
    monkeypatch.setattr(suffix_rows, "CONTEXT_BYTES_PER_CALL", context_bytes)
    examples = mixed(rows)
    feeder = feeder_of(causal, examples)
    wanted = np.random.default_rng(1).integers(0, len(examples), 60)
    seen: list[int] = []
    for batch in feeder.batches(wanted, limit):
        seen += batch.index.tolist()
        alone = len(batch.index) == 1
        assert batch.work.computed <= limit or alone
        cached = len(batch.index) * int(batch.feeds["context_length"].max())
        assert cached * feeder.contexts.layout.bytes_per_token <= context_bytes or cached <= 1 or alone
    assert sorted(seen) == list(range(60))


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_a_batch_is_what_plain_arrays_say(bundle_of: Callable[..., Path], texts: list[str], family: str) -> None:
    bundle = Bundle.open(bundle_of(family, "suffix"))
    examples = mixed(encoded_rows(bundle, texts[:8]))
    wanted = list(range(len(examples)))[::-1]
    padding_id = bundle.manifest.language_model.model.padding_id
    for batch in feeder_of(bundle, examples).batches(wanted, 40):
        feeds = batch.feeds
        suffix_tokens, context_tokens = feeds["ids"].shape[1], feeds["keys"].shape[3]
        spent = 0
        for place, index in enumerate(batch.index.tolist()):
            row = examples[wanted[index]]
            tail = [padding_id] * (suffix_tokens - len(row.suffix))
            assert feeds["ids"][place].tolist() == [int(row.ids[k]) for k in row.suffix] + tail
            assert feeds["mask"][place].tolist() == [1] * len(row.suffix) + [0] * len(tail)
            assert feeds["positions"][place].tolist() == row.suffix.tolist() + [0] * len(tail)
            assert row.suffix[feeds["position"][place]] == row.position
            assert feeds["label"][place] == row.label
            context = len(row.ids) - len(row.suffix)
            assert feeds["context_length"][place] == context
            spent += context
            block = block_alone(bundle, row) if context else {}
            for name in ("keys", "values"):
                assert not feeds[name][:, place, :, context:].any()
                if context:
                    np.testing.assert_allclose(feeds[name][:, place, :, :context], block[name], atol=1e-5, rtol=0)
        count = len(batch.index)
        assert (batch.work.computed, batch.work.padding) == (count * suffix_tokens, int((feeds["mask"] == 0).sum()))
        assert batch.work.cached == count * context_tokens
        assert batch.work.cached_padding == count * context_tokens - spent


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_losses_do_not_depend_on_the_company(bundle_of: Callable[..., Path], texts: list[str], family: str) -> None:
    """With a state that matters, rows alone and rows together; some without a context."""
    bundle = Bundle.open(bundle_of(family, "suffix"))
    examples = mixed(encoded_rows(bundle, texts[:20]))
    state = 0.05 * rademacher(4, bundle.manifest.state.parameters)
    alone = scored(bundle, examples, 1, state).losses
    assert abs(alone - scored(bundle, examples, 1).losses).max() > 0.05
    for limit in (30, 10_000):
        np.testing.assert_allclose(scored(bundle, examples, limit, state).losses, alone, atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", ["causal", "masked"])
def test_a_state_acts_at_the_suffix_only(bundle_of: Callable[..., Path], texts: list[str], family: str) -> None:
    """All suffix is scope "all"; a shorter suffix is not."""
    split, whole = (Bundle.open(bundle_of(family, scope)) for scope in ("suffix", "all"))
    assert split.manifest.state == whole.manifest.state
    rows = encoded_rows(split, texts[:16])
    state = 0.05 * rademacher(4, split.manifest.state.parameters)
    everywhere = scored(whole, rows, state=state).losses
    np.testing.assert_allclose(
        scored(split, list(map(without_context, rows)), state=state).losses, everywhere, atol=1e-4, rtol=0
    )
    assert abs(scored(split, rows, state=state).losses - everywhere).max() > 1e-2


def test_the_slope_changes_by_rounding_only_with_the_split_into_calls(
    bundle_of: Callable[..., Path], texts: list[str]
) -> None:
    bundle = Bundle.open(bundle_of("causal", "suffix"))
    examples = mixed(encoded_rows(bundle, texts[:20]))
    feeder = feeder_of(bundle, examples)
    estimator = TwoSided(MappedGraphs(bundle, 1).open("probe"), 1e-2)
    state = 0.05 * rademacher(1, bundle.manifest.state.parameters)
    for seed in range(4):
        whole, parts = (estimator.measure(state, [seed], feeder.batches(range(20), limit)) for limit in (10**6, 12))
        assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
        # A float32 loss has 24 bits: the difference of two cannot be surer than a few ulp over its own size.
        ulp = 2.0**-23 * whole.loss / 0.02
        assert (
            abs(parts.projected_gradient - whole.projected_gradient) <= 1e-4 * abs(whole.projected_gradient) + 4 * ulp
        )


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_below_one_is_refused(causal: Bundle, rows: list[Example], limit: int) -> None:
    with pytest.raises(ValueError, match="limits must be positive"):
        next(feeder_of(causal, rows).batches(range(3), limit))
    assert list(feeder_of(causal, rows).batches([], 1)) == []

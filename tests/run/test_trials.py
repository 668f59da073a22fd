"""What trials lead to, apart from any model: candidates, the decision, the plan, and budgets that are too short."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generators import result_of
from seedtune.runtime.run.methods.choice import method_name
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.run.trials.budget import Budget
from seedtune.runtime.run.trials.candidates import RATES, candidates
from seedtune.runtime.run.trials.decision import best_trial, decide
from seedtune.runtime.run.trials.plan import most_steps, planned, rate_of_run
from seedtune.runtime.telemetry.events import CachingContexts
from seedtune.runtime.telemetry.trials import Trial

COUNTS = [len(rates) for rates in RATES.values()]


def trial(method: str, gain: float | None, half_width: float = 0.01, rate: float = 0.03) -> Trial:
    """Of a held-out loss of 0.5."""
    return Trial(
        method=method, learning_rate=rate, batch_size=32, steps=20, step_ms=5.0, seconds=0.2, example_passes=1280,
        held_out_rows=64, loss_start=0.5, loss=None if gain is None else 0.5 - gain, accuracy=0.8, gain=gain,
        gain_half_width=None if gain is None else half_width,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gains", "pinned", "method"),
    [
        # Probes that help are taken, unless gradients surpass them.
        (((0.02,), (0.025,)), False, "two-sided"),
        (((0.02,), (0.2,)), False, "gradient"),
        (((0.02,), (-0.1,)), False, "two-sided"),
        (((0.002,), (0.2,)), False, "gradient"),
        (((-0.1,), (0.02,)), False, "gradient"),
        # Nothing beyond noise: gradients, which a few more steps may help.
        (((0.009,), (0.002,)), False, "gradient"),
        (((-0.002,), (-0.009,)), False, "gradient"),
        (((0.002,), (-0.02,)), False, "two-sided"),
        (((0.002,), (None,)), False, "two-sided"),
        (((-0.002,), (-0.02,)), False, None),
        (((-0.002,), (None,)), False, None),
        (((None, None), (-0.1,)), False, None),
        # A method that is alone: if it gained at all.
        (((0.002,),), False, "two-sided"),
        (((-0.002,),), False, None),
        (((None, None),), True, "two-sided"),
        (((-0.3, -0.002),), True, "two-sided"),
    ],
)
def test_probes_are_taken_where_they_help_and_gradients_do_not_surpass_them(
    gains: tuple[tuple[float | None, ...], ...], pinned: bool, method: str | None
) -> None:
    groups = [
        [trial(name, gain, rate=0.1 / (place + 1)) for place, gain in enumerate(of_method)]
        for name, of_method in zip(("two-sided", "gradient"), gains, strict=False)
    ]
    best, reason = decide(groups, pinned=pinned)
    assert (best.method if best else None) == method
    assert (method or "the start is kept") in reason
    assert "\n" not in reason
    if best is not None:
        of_best = next(group for group in groups if best in group)
        if any(each.gain is not None for each in of_best):
            assert best.gain == max(each.gain for each in of_best if each.gain is not None)
        else:
            assert best.learning_rate == min(each.learning_rate for each in of_best)


@pytest.mark.parametrize(
    ("gains", "rate"),
    [
        # (gain, half width) by rate. More than noise: the largest gain, whatever is larger and is noise.
        ({0.1: (0.03, 0.02), 0.03: (0.02, 0.01)}, 0.1),
        ({0.1: (0.04, 0.05), 0.03: (0.02, 0.01)}, 0.03),
        # Nothing but noise: what can have lost least.
        ({2e-3: (0.0063, 0.0147), 5e-4: (0.0045, 0.006)}, 5e-4),
        # One that lost is not taken for its short interval.
        ({2e-3: (0.006, 0.015), 5e-4: (-0.001, 0.002)}, 2e-3),
        ({2e-3: (-0.006, 0.001), 5e-4: (-0.001, 0.02)}, 5e-4),
        # So few rows that there is no interval.
        ({2e-3: (0.006, None), 5e-4: (0.001, None)}, 2e-3),
    ],
)
def test_of_rates_the_surest_gain_is_taken(gains: dict[float, tuple[float, float | None]], rate: float) -> None:
    trials = [
        msgspec.structs.replace(trial("gradient", gain, rate=rate), gain_half_width=half_width)
        for rate, (gain, half_width) in gains.items()
    ]
    best = best_trial(trials)
    assert best is not None
    assert best.learning_rate == rate
    assert best_trial([trial("gradient", None)]) is None


@given(
    st.floats(1, 1e5), st.floats(1e-3, 100), st.floats(0, 100), st.none() | st.integers(1, 10**6),
    st.none() | st.integers(1, 1000),
)  # fmt: skip
def test_a_plan_fits_into_what_is_left(
    left: float, step: float, evaluation: float, most: int | None, every: int | None
) -> None:
    plan = planned(left, step, evaluation, most_steps=most, eval_every=every)
    assert plan.steps >= 1
    assert plan.eval_every == every or (every is None and 1 <= plan.eval_every <= plan.steps)
    assert most is None or plan.steps <= most
    if plan.steps > 1:
        # But for the evaluation behind the last step.
        assert plan.seconds <= left + evaluation
        assert plan.seconds >= plan.steps * step


def test_a_plan_uses_most_of_what_is_left() -> None:
    plan = planned(600, 0.1, 2.0)
    assert 500 < plan.seconds < 600
    assert -(-plan.steps // plan.eval_every) == 20
    assert planned(600, 0.1, 100.0).eval_every == planned(600, 0.1, 100.0).steps


def test_steps_that_were_given_are_the_ceiling_and_gradients_make_few_passes() -> None:
    settings = msgspec.structs.replace(Settings(), batch_size=32)
    gradient = msgspec.structs.replace(settings.changed({"estimator": "gradient"}), batch_size=16)
    assert most_steps(settings, 640, given=False) is None
    # Six passes over few rows, two over many, and 300 steps between.
    assert [most_steps(gradient, rows, given=False) for rows in (1, 160, 2048, 16_000)] == [1, 60, 300, 2000]
    assert most_steps(settings, 640, given=True) == most_steps(gradient, 640, given=True) == 300


def test_a_longer_run_of_noisy_steps_has_a_smaller_rate() -> None:
    settings = Settings().changed({"steps": 400, "learning_rate": 0.1})
    assert rate_of_run(settings, 100) == 0.05
    assert rate_of_run(settings, 400) == rate_of_run(settings, 800) == 0.1
    assert rate_of_run(settings.changed({"estimator": "gradient"}), 100) == 0.1


@pytest.mark.parametrize(
    ("given_options", "limited", "found"),
    [
        ({}, False, {"two-sided": COUNTS[0], "gradient": COUNTS[1]}),
        ({}, True, {"two-sided": COUNTS[0]}),
        ({"estimator": "gradient"}, False, {"gradient": COUNTS[1]}),
        ({"estimator": "two-sided"}, False, {"two-sided": COUNTS[0]}),
        ({"learning_rate": 0.07}, False, {"two-sided": 1, "gradient": 1}),
        ({"estimator": "gradient", "learning_rate": 0.07}, False, {"gradient": 1}),
        # What belongs to probes alone says that they are wanted.
        ({"optimizer": "momentum"}, False, {"two-sided": COUNTS[0]}),
        ({"epsilon": 0.02}, False, {"two-sided": COUNTS[0]}),
        ({"seed": 3, "schedule": "cosine"}, False, {"two-sided": COUNTS[0], "gradient": COUNTS[1]}),
    ],
)
def test_what_was_given_stays(
    suffix_bundle: Path, given_options: dict[str, Any], limited: bool, found: dict[str, int]
) -> None:
    settings = Settings().changed(given_options)
    groups = candidates(settings, given_options, Bundle.open(suffix_bundle).manifest, limited=limited)
    assert {method_name(group[0]): len(group) for group in groups} == found
    for each in (each for group in groups for each in group):
        # Saying it again changes nothing.
        assert each.changed(given_options) == each


def test_a_bundle_without_a_gradient_graph_leaves_probes(tiny_bundle: Path) -> None:
    groups = candidates(Settings(), {}, Bundle.open(tiny_bundle).manifest, limited=False)
    assert [method_name(group[0]) for group in groups] == ["two-sided"]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_that_is_too_short_says_what_is_the_least() -> None:
    clock = Clock()
    budget = Budget(30.0, 0.0, clock)
    clock.now = 10.0
    budget.require(20.0, "ten steps", resume=True)
    with pytest.raises(SeedTuneError, match="the budget is too short: ten steps") as caught:
        budget.require(20.1, "ten steps", resume=True)
    # Half as much again as what was measured.
    assert caught.value.rule == "at least about 46 s here"
    assert caught.value.remedy == "give --resume --budget 46s"


def test_contexts_that_take_too_long_end_a_run_at_once_rather_than_at_the_end() -> None:
    clock, cached = Clock(), []

    def caching() -> Generator[CachingContexts, None, str]:
        for done in range(101):
            yield CachingContexts("train", done, 100)
            cached.append(done)
            clock.now += 1.0
        return "feeder"

    assert result_of(Budget(200.0, 0.0, clock).watching(caching())) == "feeder"
    cached.clear()
    with pytest.raises(SeedTuneError, match="contexts of 95 more rows of train takes about 1 min 35 s"):
        result_of(Budget(150.0, 0.0, clock).watching(caching()))
    assert len(cached) == 5

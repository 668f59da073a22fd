"""A loop of several probes a step, or of a state a row: what it records, and which states it leaves alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from loop_lab import PARAMETERS, RUN_SEED, NumpyState, Parabola, begun, bits, looped

from seedtune.runtime.batches.types import Batch
from seedtune.runtime.estimators.protocol import Estimate
from seedtune.runtime.journal.records import Record
from seedtune.runtime.loop.taken import DivergedError
from seedtune.runtime.noise import derive_seed, rademacher


def test_two_probes_a_step_are_two_records_with_seeds_2s_and_2s_plus_1() -> None:
    state, estimator = NumpyState(), Parabola(probes=2)
    taken, recorded = looped(state, estimator=estimator, steps=6)
    assert len(recorded) == 12
    for step, (each, (seeds, _)) in enumerate(zip(taken, estimator.seen, strict=True)):
        assert seeds == [derive_seed(RUN_SEED, "probe", 2 * step), derive_seed(RUN_SEED, "probe", 2 * step + 1)]
        for k, record in enumerate(recorded[2 * step : 2 * step + 2]):
            assert bits(record.coefficient) == bits(each.coefficients[k])
            assert bits(record.loss_plus) == bits(each.estimate.loss_plus[k])
            assert bits(record.loss_minus) == bits(each.estimate.loss_minus[k])
        assert bits(recorded[2 * step].loss_plus) != bits(recorded[2 * step + 1].loss_plus)
    again = np.zeros(PARAMETERS, np.float32)
    for number, record in enumerate(recorded):
        again = again + record.coefficient[0] * rademacher(derive_seed(RUN_SEED, "probe", number), PARAMETERS)
    assert bits(again) == bits(state.values)


def test_each_of_three_groups_is_the_run_of_its_row_alone() -> None:
    chosen = [4, 0, 9]
    state = NumpyState(groups=3)
    taken, recorded = looped(state, rows_of=lambda _step: chosen, limit=2)
    assert all(record.coefficient.shape == (3,) for record in recorded)
    for group, row in enumerate(chosen):
        alone = NumpyState()
        expected, records = looped(alone, rows_of=lambda _step, row=row: [row])
        assert bits(state.values[group]) == bits(alone.values)
        for record, of_alone in zip(recorded, records, strict=True):
            assert record.coefficient[group] == of_alone.coefficient[0]
            assert record.loss_plus[group] == of_alone.loss_plus[0]
        assert [each.coefficients[0, group] for each in taken] == [each.coefficients.item() for each in expected]
    assert len({bits(values) for values in state.values}) == 3


def test_groups_that_have_arrived_keep_their_state_bit_for_bit_and_the_others_go_on_as_without_them() -> None:
    def stopped(estimate: Estimate) -> np.ndarray:
        seen.append(estimate)
        return np.array([len(seen) > 4, False, len(seen) > 7])

    seen: list[Estimate] = []
    plain, state, arrived = NumpyState(groups=3), NumpyState(groups=3), {}
    looped(plain, rows_of=lambda _step: [1, 2, 3])
    recorded: list[Record] = []
    for taken in begun(state, recorded.extend, rows_of=lambda _step: [1, 2, 3], stopped=stopped):
        if taken.step in (4, 7):
            arrived[taken.step] = state.values.copy()
        zeros = [taken.step > 4, False, taken.step > 7]
        assert (taken.coefficients[0] == 0).tolist() == zeros
        assert (recorded[-1].coefficient == 0).tolist() == zeros
    assert bits(state.values[0]) == bits(arrived[4][0])
    assert bits(state.values[2]) == bits(arrived[7][2])
    assert bits(state.values[1]) == bits(plain.values[1])
    assert bits(state.values[0]) != bits(plain.values[0])


class Spoilt(Parabola):
    """At its fourth measurement one loss of one side is not finite."""

    def __init__(self, probes: int, side: int, place: tuple[int, int], value: float) -> None:
        super().__init__(probes)
        self.spoils = side, place, value

    def measure(self, state: np.ndarray, seeds: Sequence[int], batches: Iterable[Batch]) -> Estimate:
        found = super().measure(state, seeds, batches)
        side, place, value = self.spoils
        losses = [found.loss_plus, found.loss_minus]
        if len(self.seen) == 4:
            losses[side][place] = value
        return self.estimate_from(*losses)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("probes", "groups", "place"), [(1, None, (0, 0)), (2, None, (1, 0)), (2, 3, (0, 2))])
def test_of_a_step_with_a_loss_that_is_not_finite_nothing_is_recorded(
    probes: int, groups: int | None, place: tuple[int, int], side: int, value: float
) -> None:
    state = NumpyState(groups)
    recorded: list[Record] = []
    estimator = Spoilt(probes, side, place, value)
    loop = begun(state, recorded.extend, estimator=estimator, rows_of=lambda _step: [0, 1, 2])
    for _ in range(3):
        next(loop)
    before = bits(state.values)
    with pytest.raises(DivergedError, match="step 4 ") as caught:
        next(loop)
    assert "learning rate 0.007" in str(caught.value)
    assert "--learning-rate" in str(caught.value)
    assert len(recorded) == 3 * probes
    assert bits(state.values) == before

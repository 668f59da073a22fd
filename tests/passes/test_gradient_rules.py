"""Every rule of the gradient pass against finite differences in float64, over shapes and broadcasting."""

from __future__ import annotations

import pytest
from arithmetic_cases import ARITHMETIC, Make
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_cases import LAYOUT
from operator_lab import Told, check

from seedtune.exporter.passes.gradient.backward import NoRule
from seedtune.exporter.passes.gradient.rules import RULES

CASES: dict[str, list[Make]] = ARITHMETIC | LAYOUT
EXAMPLES = 12
TOLD: tuple[Told, ...] = ("numbers", "symbols", "nothing")


def test_every_rule_is_tried() -> None:
    assert CASES.keys() == RULES.keys() | {"Split"}


@pytest.mark.parametrize("op_type", CASES)
def test_a_rule_gives_the_gradient_of_finite_differences(op_type: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.data(), st.sampled_from(CASES[op_type]), st.sampled_from(TOLD))
    def compare(data: st.DataObject, make: Make, told: Told) -> None:
        case = make(data.draw)
        try:
            check(case, told)
        except NoRule:
            # Some rules need the number of axes, which traced values always have.
            assert told == "nothing"

    compare()

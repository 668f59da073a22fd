"""Mutated inputs of everything that SeedTune reads: refused clearly, or read for what they say."""

from __future__ import annotations

import pytest

from fuzz.catalogue import TARGETS, shares
from fuzz.watch import Tally, fuzz

USUAL = [name for name, entry in TARGETS.items() if entry.share]
LIGHT = [name for name in USUAL if not TARGETS[name].heavy]
HEAVY = [name for name in USUAL if TARGETS[name].heavy]
FEW, MANY = shares(USUAL, 1_000), shares(USUAL, 100_000)


def require_no_failure(tally: Tally) -> None:
    """Says of the first failures what they are, and how to have them again."""
    told = [
        f"seed {each['seed']}: {each['verdict']}\n{each['text']}\n"
        f"again: python scripts/fuzz --target {tally.target} --seed {each['seed']}"
        for each in tally.failures[:3]
    ]
    assert not tally.failed, f"{tally.failed} of {tally.inputs} inputs failed\n" + "\n".join(told)
    assert tally.refused > 0


@pytest.mark.parametrize("target", LIGHT)
def test_a_mutated_input_is_refused_clearly_or_read_right(target: str) -> None:
    require_no_failure(fuzz(target, 0, FEW[target]))


@pytest.mark.traced
@pytest.mark.parametrize("target", HEAVY)
def test_a_mutated_checkpoint_is_refused_clearly_or_read_right(target: str) -> None:
    require_no_failure(fuzz(target, 0, FEW[target]))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", USUAL)
def test_none_of_100_000_mutated_inputs_ends_in_anything_else(target: str) -> None:
    require_no_failure(fuzz(target, 1_000, MANY[target]))

"""The tuned model inside transformers: the bundle's own predictions, whatever the reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import seedtune as face
from seedtune.integrations.transformers import load
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.state_file import MadeOf, write_state

pytestmark = pytest.mark.traced

ROWS = [{"text": "a lovely film"}, {"text": "a dull song, and an awful one"}, {"text": "great"}]


@pytest.mark.parametrize(
    ("family", "scope", "layers"), [("causal", "all", None), ("causal", "last", 1), ("masked", "suffix", None)]
)
def test_label_probabilities_are_those_of_the_bundle(
    bundle_of: Callable[..., Path], tmp_path: Path, family: str, scope: str, layers: int | None
) -> None:
    bundle = bundle_of(family, scope, "fp32", "fp32", layers)
    with face.open(bundle) as model:
        untouched = model.predict(ROWS)
        model.state.values[:] = 0.2 * np.random.default_rng(3).standard_normal(len(model.state.values))
        write_state(tmp_path / "state.safetensors", model.bundle, model.state, MadeOf(1, "a test"))
        expected = model.predict(ROWS)
    wrapped = load(bundle, state=tmp_path / "state.safetensors")
    found = wrapped.label_probabilities(wrapped.encode(ROWS))
    for row, wanted, before in zip(found, expected, untouched, strict=True):
        assert row == pytest.approx(wanted, abs=1e-4)
        assert wanted != pytest.approx(before, abs=1e-2)


def test_a_base_model_that_is_not_there_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError) as caught:
        load(tiny_bundle, source=tmp_path / "gone")
    assert caught.value.remedy

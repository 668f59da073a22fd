"""The gradient graph of a bundle against autograd through transformers' own model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from export_lab import random_state
from gradient_lab import Exported, export, relative_error

from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.model.single_call import outputs_of, single_batch
from seedtune.runtime.task.structure import Scope

pytestmark = pytest.mark.traced

ALLOWED = 1e-4


@pytest.fixture(scope="module")
def exported(
    request: pytest.FixtureRequest, folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Exported]:
    """``exported(case, scope, layers, storage)``: each made once."""
    made: dict[tuple[object, ...], Exported] = {}

    def give(case: str, scope: Scope, layers: int | None = None, storage: Storage = "fp32") -> Exported:
        key = (case, scope, layers, storage)
        if key not in made:
            out = tmp_path_factory.mktemp("bundles") / "bundle"
            made[key] = export(folder(case), out, scope=scope, layers=layers, storage=storage)
        return made[key]

    return give


@pytest.mark.parametrize("layers", [None, 1])
@pytest.mark.parametrize("scope", ["suffix", "last"])
@pytest.mark.parametrize("case", ["llama", "roberta"])
def test_the_gradient_is_that_of_autograd(
    exported: Callable[..., Exported], case: str, scope: Scope, layers: int | None
) -> None:
    bundle = exported(case, scope, layers)
    rows, state = bundle.rows(), random_state(bundle.layout, 5e-2)
    losses, gradient = bundle.gradient(rows, state)
    expected_losses, expected = bundle.autograd(rows, state)
    np.testing.assert_allclose(losses, expected_losses, atol=1e-5)
    assert relative_error(gradient, expected) < ALLOWED
    assert np.linalg.norm(expected) > 0.1


def test_the_loss_is_that_of_the_eval_graph(exported: Callable[..., Exported]) -> None:
    bundle = exported("llama", "suffix")
    batch = single_batch(bundle.bundle, bundle.rows(), 10_000)
    state = {"state": random_state(bundle.layout, 5e-2)}
    (losses,) = outputs_of(bundle.bundle, "gradient", ["loss"], batch, state)
    (expected,) = outputs_of(bundle.bundle, "eval", ["loss"], batch, state)
    np.testing.assert_array_equal(losses, expected)


def test_a_batch_adds_up_its_rows_whatever_their_lengths(exported: Callable[..., Exported]) -> None:
    bundle = exported("llama", "suffix")
    rows, state = bundle.rows(), random_state(bundle.layout, 5e-2)
    _, together = bundle.gradient(rows, state)
    alone = np.stack([bundle.gradient([row], state)[1] for row in rows]).astype(np.float64)
    assert relative_error(together, alone.sum(axis=0)) < 1e-5
    assert relative_error(together, alone[1:].sum(axis=0)) > 0.05

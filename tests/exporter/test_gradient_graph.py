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
    folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[Storage, Exported]]:
    """``exported(case, scope, layers, storages)``: each made once."""
    made: dict[tuple[object, ...], dict[Storage, Exported]] = {}

    def give(
        case: str, scope: Scope, layers: int | None = None, storages: tuple[Storage, ...] = ("fp32",)
    ) -> dict[Storage, Exported]:
        key = (case, scope, layers, storages)
        if key not in made:
            out = tmp_path_factory.mktemp("bundles")
            made[key] = export(folder(case), out, scope=scope, layers=layers, storages=storages)
        return made[key]

    return give


@pytest.mark.parametrize("layers", [None, 1])
@pytest.mark.parametrize("scope", ["suffix", "last"])
@pytest.mark.parametrize("case", ["llama", "roberta"])
def test_the_gradient_is_that_of_autograd(
    exported: Callable[..., dict[Storage, Exported]], case: str, scope: Scope, layers: int | None
) -> None:
    bundle = exported(case, scope, layers)["fp32"]
    rows, state = bundle.rows(), random_state(bundle.layout, 5e-2)
    losses, gradient = bundle.gradient(rows, state)
    expected_losses, expected = bundle.autograd(rows, state)
    np.testing.assert_allclose(losses, expected_losses, atol=1e-5)
    assert relative_error(gradient, expected) < ALLOWED
    assert np.linalg.norm(expected) > 0.1


def test_the_loss_is_that_of_the_eval_graph(exported: Callable[..., dict[Storage, Exported]]) -> None:
    bundle = exported("llama", "suffix")["fp32"]
    batch = single_batch(bundle.bundle, bundle.rows(), 10_000)
    state = {"state": random_state(bundle.layout, 5e-2)}
    (losses,) = outputs_of(bundle.bundle, "gradient", ["loss"], batch, state)
    (expected,) = outputs_of(bundle.bundle, "eval", ["loss"], batch, state)
    np.testing.assert_array_equal(losses, expected)


def test_a_batch_adds_up_its_rows_whatever_their_lengths(exported: Callable[..., dict[Storage, Exported]]) -> None:
    bundle = exported("llama", "suffix")["fp32"]
    rows, state = bundle.rows(), random_state(bundle.layout, 5e-2)
    _, together = bundle.gradient(rows, state)
    alone = np.stack([bundle.gradient([row], state)[1] for row in rows]).astype(np.float64)
    assert relative_error(together, alone.sum(axis=0)) < 1e-5
    assert relative_error(together, alone[1:].sum(axis=0)) > 0.05


# With int8 the forward pass rounds the inputs of layers, and autograd over the dequantised weights does not: up to 5e-5
# with these models. int4 has matrices of odd widths in int8.
ALLOWED_OF: dict[Storage, float] = {"fp16": ALLOWED, "bf16": ALLOWED, "int8": 1e-3, "int4": 1e-3}


@pytest.mark.parametrize("case", ["llama", "gpt2"])
def test_a_stored_matrix_has_the_gradient_of_what_it_stands_for(
    exported: Callable[..., dict[Storage, Exported]], case: str
) -> None:
    """Linears of both layouts: [o, i] as in Llama, and [i, o] as in GPT-2, which int4 stores as int8."""
    for storage, bundle in exported(case, "suffix", None, tuple(ALLOWED_OF)).items():
        assert bundle.encodings
        rows, state = bundle.rows(), random_state(bundle.layout, 5e-2)
        _, gradient = bundle.gradient(rows, state)
        _, expected = bundle.autograd(rows, state)
        assert relative_error(gradient, expected) < ALLOWED_OF[storage], storage

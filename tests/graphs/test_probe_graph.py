"""The probe graph against the eval graph and against itself: sides, sizes, padding, batching, gradients."""

import numpy as np
import onnxruntime
import pytest
import torch
from export_lab import Export, largest_difference, probe_feeds, random_rows, random_state, reference
from graph_lab import op_types, sizes_of

from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.estimators.scores import SCORES
from seedtune.runtime.noise import rademacher

pytestmark = pytest.mark.traced

EPSILON, SEED = 1e-2, 4_000_000_007
# Both graphs compute in float32, with other kernel shapes.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def sessions(export: Export) -> dict[str, onnxruntime.InferenceSession]:
    """Sessions over both graphs of the model."""
    return {name: export.session(name) for name in ("probe", "eval")}


def probe(sessions: dict, rows: dict, state: np.ndarray, seed: int = SEED, epsilon: float = EPSILON) -> np.ndarray:
    """Both sides' losses, [2, B]."""
    return np.stack(sessions["probe"].run(["loss_plus", "loss_minus"], probe_feeds(rows, state, seed, epsilon)))


def test_each_side_is_the_eval_graph_at_its_own_state(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family, rows=5), random_state(export.layout)
    noise = rademacher(SEED, export.layout.parameters)
    found = probe(sessions, rows, state)
    for side, sign in zip(found, (1, -1), strict=True):
        moved = state + np.float32(sign * EPSILON) * noise
        (expected,) = sessions["eval"].run(["loss"], rows | {"state": moved})
        assert largest_difference(side, expected) < ROUNDING
    assert largest_difference(found[0], found[1]) > 100 * ROUNDING


def test_without_epsilon_both_sides_are_the_eval_graph(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family), random_state(export.layout)
    (expected,) = sessions["eval"].run(["loss"], rows | {"state": state})
    for side in probe(sessions, rows, state, epsilon=0.0):
        assert largest_difference(side, expected) < ROUNDING


def test_another_epsilon_sign_swaps_the_sides(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family), random_state(export.layout)
    found, swapped = probe(sessions, rows, state), probe(sessions, rows, state, epsilon=-EPSILON)
    assert largest_difference(found, swapped[::-1]) < ROUNDING


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (1, 2), (1, 3), (1, 9), (4, 1), (3, 2), (2, 3), (17, 30)])
def test_any_size_of_batch_agrees_with_transformers(export: Export, sessions: dict, rows: int, tokens: int) -> None:
    batch, state = random_rows(export.family, rows=rows, tokens=tokens), random_state(export.layout)
    noise = rademacher(SEED, export.layout.parameters)
    for side, sign in zip(probe(sessions, batch, state), (1, -1), strict=True):
        _, expected = reference(export, batch, state + np.float32(sign * EPSILON) * noise)
        assert side.shape == (rows,)
        assert largest_difference(side, expected) < 5 * ROUNDING


def test_what_stands_in_the_padding_never_matters(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family, rows=6), random_state(export.layout)
    expected = probe(sessions, rows, state)
    assert (rows["mask"] == 0).any()
    generator = np.random.default_rng(1)
    for fill in (0, 4, 159, None):
        content = generator.integers(0, 160, rows["ids"].shape) if fill is None else fill
        filled = rows | {"ids": np.where(rows["mask"] == 0, content, rows["ids"])}
        assert largest_difference(probe(sessions, filled, state), expected) < ROUNDING


def test_more_padding_never_matters(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family, rows=6), random_state(export.layout)
    expected = probe(sessions, rows, state)
    longer = rows | {
        "ids": np.pad(rows["ids"], ((0, 0), (0, 8)), constant_values=1),
        "mask": np.pad(rows["mask"], ((0, 0), (0, 8))),
    }
    assert largest_difference(probe(sessions, longer, state), expected) < ROUNDING


@pytest.mark.parametrize("size", [1, 2, 5])
def test_micro_batches_give_what_the_full_batch_gives(export: Export, sessions: dict, size: int) -> None:
    rows, state = random_rows(export.family, rows=8), random_state(export.layout)
    parts = [
        probe(sessions, {name: value[first : first + size] for name, value in rows.items()}, state)
        for first in range(0, 8, size)
    ]
    assert largest_difference(np.concatenate(parts, axis=1), probe(sessions, rows, state)) < ROUNDING


def test_the_same_call_gives_the_same_bits(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family), random_state(export.layout)
    np.testing.assert_array_equal(probe(sessions, rows, state), probe(sessions, rows, state))


def test_no_tensor_of_the_vocabulary_is_made(export: Export) -> None:
    for name in ("probe", "eval"):
        graph = export.graph(name).graph
        assert "MatMul" not in {
            node.op_type for node in graph if any(v is not None and v.is_initializer() for v in node.inputs)
        }
        sizes = [sizes_of(value) for value in graph.outputs]
        assert all(160 not in shape for shape in sizes)


def test_every_target_is_read_by_one_gemm_more(export: Export) -> None:
    """One product per target and one per set of equal inputs, in both graphs: nothing runs twice."""
    without = op_types(export.trunk.graph).count("MatMul") + op_types(export.trunk.graph).count("Gemm")
    shared = len({target.lora_a for target in export.layout.targets})
    for name in ("probe", "eval"):
        kinds = op_types(export.graph(name).graph)
        assert kinds.count("Gemm") + kinds.count("MatMul") == without + len(export.layout.targets) + shared


def test_scores_of_each_side_are_the_eval_graphs_at_its_own_state(export: Export, sessions: dict) -> None:
    rows, state = random_rows(export.family, rows=5), random_state(export.layout)
    noise = rademacher(SEED, export.layout.parameters)
    found = sessions["probe"].run(list(SCORES), probe_feeds(rows, state, SEED, EPSILON))
    for side, sign in zip(found, (1, -1), strict=True):
        moved = state + np.float32(sign * EPSILON) * noise
        (expected,) = sessions["eval"].run(["log_probabilities"], rows | {"state": moved})
        assert largest_difference(side, expected) < ROUNDING
    assert largest_difference(*found) > 100 * ROUNDING


def test_names_and_types_of_inputs_and_outputs(export: Export, sessions: dict) -> None:
    rows = {"ids": "tensor(int64)", "mask": "tensor(int64)", "position": "tensor(int64)", "label": "tensor(int64)"}
    shared = rows | {"state": "tensor(float)"}
    step = {"seed": "tensor(int64)", "epsilon": "tensor(float)"}
    assert {v.name: v.type for v in sessions["eval"].get_inputs()} == shared
    assert {v.name: v.type for v in sessions["probe"].get_inputs()} == shared | step
    assert [v.name for v in sessions["probe"].get_outputs()] == ["loss_plus", "loss_minus", *SCORES]
    assert [v.name for v in sessions["eval"].get_outputs()] == ["loss", "log_probabilities", "hidden"]
    labels = len(export.words)
    assert [v.shape for v in sessions["probe"].get_outputs()] == [["batch"]] * 2 + [["batch", labels]] * 2


def test_hidden_is_what_the_head_reads_at_the_label_position(llama: Export) -> None:
    rows, state = random_rows("causal"), np.zeros(llama.layout.parameters, np.float32)
    (found,) = llama.session("eval").run(["hidden"], rows | {"state": state})
    with torch.no_grad():
        hidden = llama.model.base_model(
            input_ids=torch.from_numpy(rows["ids"]), attention_mask=torch.from_numpy(rows["mask"])
        ).last_hidden_state.numpy()
    assert largest_difference(found, hidden[np.arange(4), rows["position"]]) < 1e-4


def test_projected_gradients_are_those_of_autograd(llama: Export) -> None:
    """(L+ - L-) / 2 epsilon over 64 seeds against <dL/dB, Z> by torch.autograd; both at the same state."""
    epsilon, layout = 1e-3, llama.layout
    rows, state = random_rows("causal", rows=8), random_state(layout)
    gradient = autograd_gradient(llama, rows, state)
    session = llama.session("probe")
    found, expected = [], []
    for seed in range(1000, 1064):
        plus, minus = session.run(["loss_plus", "loss_minus"], probe_feeds(rows, state, seed, epsilon))
        found.append((plus.astype(np.float64).mean() - minus.astype(np.float64).mean()) / (2 * epsilon))
        expected.append(float(gradient @ rademacher(seed, layout.parameters)))
    assert np.corrcoef(found, expected)[0, 1] >= 0.999
    slope = np.dot(found, expected) / np.dot(expected, expected)
    assert abs(slope - 1) < 0.01


def autograd_gradient(export: Export, rows: dict[str, np.ndarray], state: np.ndarray) -> np.ndarray:
    """The gradient of the mean loss with respect to the flat state, [n] float64, by PyTorch alone."""
    lora_a = lora_a_values(export.layout)
    flat = torch.from_numpy(state.copy()).requires_grad_()
    weights = {}
    for target in export.layout.targets:
        b = flat[target.offset : target.offset + target.out_features * target.rank]
        change = b.reshape(target.out_features, target.rank) @ torch.from_numpy(lora_a[target.lora_a])
        weights[f"{target.name}.weight"] = export.model.get_parameter(f"{target.name}.weight") + change
    inputs = {"input_ids": torch.from_numpy(rows["ids"]), "attention_mask": torch.from_numpy(rows["mask"])}
    logits = torch.func.functional_call(export.model, weights, (), inputs).logits
    scores = logits[torch.arange(len(rows["position"])), torch.from_numpy(rows["position"])][:, list(export.words)]
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(rows["label"])).backward()
    assert flat.grad is not None
    return flat.grad.numpy().astype(np.float64)

"""LoRA of the accuracy bench: inside a reach it is the whole model with state at these tokens and layers only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from lab.accuracy.first_order import Everywhere, Inside, Recipe, all_scores, batches_of
from lab.accuracy.frozen import frozen
from lab.accuracy.language_model import padded
from lab.accuracy.low_rank import LowRank, attach, detach
from lab.accuracy.method import Budget, Prepared
from lab.accuracy.reach import Reach

pytestmark = pytest.mark.traced

# 2 layers.
REACHES = [(1, False), (1, True), (2, False), (2, True)]


@pytest.fixture
def given_state() -> Iterator[Callable[[torch.nn.ModuleList], None]]:
    """Gives layers low-rank terms whose B is not zero, and takes them away at the end."""
    changed: list[torch.nn.ModuleList] = []

    def give(layers: torch.nn.ModuleList) -> None:
        attach(layers, 2, 5)
        changed.append(layers)
        generator = torch.Generator().manual_seed(6)
        for part in layers.modules():
            if isinstance(part, LowRank):
                part.b.data = 0.3 * torch.randn(part.b.shape, generator=generator)

    yield give
    for layers in changed:
        detach(layers)


def whole_model(accuracy_task: Prepared, rows: list[int], begins: list[int]) -> torch.Tensor:
    """Hidden states at the label position by the whole model, low-rank terms at the tokens from ``begins`` on only."""
    examples = [accuracy_task.examples[row] for row in rows]
    ids, mask = padded(examples)
    acts = (torch.arange(ids.shape[1]) >= torch.tensor(begins)[:, None])[:, :, None]

    def gated(term: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        assert isinstance(term, LowRank)
        return torch.where(acts, output, term.linear(inputs[0]))

    hooks = [
        part.register_forward_hook(gated) for part in accuracy_task.model.model.modules() if isinstance(part, LowRank)
    ]
    hidden = accuracy_task.model.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    for hook in hooks:
        hook.remove()
    return hidden[torch.arange(len(rows)), [example.position for example in examples]]


@pytest.mark.parametrize(("layers", "suffix"), REACHES)
@torch.no_grad()
def test_a_reach_says_what_the_whole_model_says_with_state_there_only(
    accuracy_task: Prepared, given_state: Callable[[torch.nn.ModuleList], None], layers: int, suffix: bool
) -> None:
    kept = accuracy_task.frozen
    reach = Reach(accuracy_task.model, kept, accuracy_task.examples, layers, suffix=suffix)
    given_state(reach.layers)
    rows = [3, 0, 40, 17]
    expected = whole_model(accuracy_task, rows, [reach.begins[row] for row in rows])
    found = reach.last_hidden(rows)
    # Kept in float16.
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=5e-3)
    untouched = torch.from_numpy(kept.last[rows, -1])
    assert (expected - untouched).abs().max() > 0.1


@torch.no_grad()
def test_without_state_a_reach_is_the_untouched_model(accuracy_task: Prepared) -> None:
    rows = list(range(len(accuracy_task.examples)))
    expected = whole_model(accuracy_task, rows, [0] * len(rows))
    torch.testing.assert_close(
        torch.from_numpy(accuracy_task.frozen.last[:, -1].copy()), expected, atol=1e-4, rtol=1e-4
    )
    for layers, suffix in REACHES:
        found = Reach(
            accuracy_task.model, accuracy_task.frozen, accuracy_task.examples, layers, suffix=suffix
        ).last_hidden(rows)
        torch.testing.assert_close(found, expected, atol=5e-3, rtol=5e-3)


def test_what_was_kept_is_not_computed_again(accuracy_task: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = accuracy_task.frozen
    monkeypatch.setattr(type(accuracy_task.model.model), "forward", None)
    again = frozen(accuracy_task.model, accuracy_task.examples, (0, 1), accuracy_task.folder)
    assert (again.last == kept.last).all()
    assert (again.keys == kept.keys).all()


@pytest.mark.parametrize(
    "method",
    [
        Everywhere(Recipe(rank=2, learning_rate=2e-2)),
        Inside(1, recipe=Recipe(rank=2, learning_rate=2e-2)),
        Inside(2, suffix=True, recipe=Recipe(rank=2, learning_rate=2e-2)),
        Inside(1, fixed_a=True, recipe=Recipe(rank=2, learning_rate=8e-2)),
    ],
    ids=lambda method: method.name,
)
def test_tuning_learns_repeats_itself_and_leaves_the_model_as_it_was(
    accuracy_task: Prepared, method: Everywhere | Inside
) -> None:
    before = {name: value.clone() for name, value in accuracy_task.model.model.state_dict().items()}
    none, some = (method.run(accuracy_task, 1, Budget(epochs=epochs)) for epochs in (0, 4))
    assert some.validation_loss < none.validation_loss - 0.1
    assert some.example_passes == 4 * 32
    assert method.run(accuracy_task, 1, Budget(epochs=4)).loss == some.loss
    assert method.run(accuracy_task, 2, Budget(epochs=4)).loss != some.loss
    after = accuracy_task.model.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_fixed_a_is_not_trained_and_every_role_of_every_layer_is(accuracy_task: Prepared) -> None:
    layers = accuracy_task.model.layers
    trained, fixed = attach(layers, 2, 0), len(attach(layers, 2, 0))
    detach(layers)
    assert len(trained) == 2 * 7 * len(layers)
    assert fixed == 0
    assert len(attach(layers, 2, 0, fixed_a=True)) == 7 * len(layers)
    detach(layers)


def test_every_epoch_sees_every_training_row_once(accuracy_task: Prepared) -> None:
    batches = list(batches_of(accuracy_task, 5, seed=3, epochs=2))
    half = len(batches) // 2
    for epoch in (batches[:half], batches[half:]):
        assert sorted(row for rows in epoch for row in rows) == list(accuracy_task.part["train"])
    assert batches[:half] != batches[half:]
    assert batches == list(batches_of(accuracy_task, 5, seed=3, epochs=2))


def test_scores_of_a_part_stand_in_its_order(accuracy_task: Prepared) -> None:
    found = all_scores(accuracy_task, lambda rows: torch.tensor([[float(row), 0.0] for row in rows]), "test")
    assert found[:, 0].tolist() == list(accuracy_task.part["test"])


@pytest.mark.parametrize("steps", [1, 2, 10, 96])
def test_the_rate_rises_to_its_height_and_falls(steps: int) -> None:
    recipe = Recipe(learning_rate=1.0, warm_up=0.1)
    rates = [recipe.rate(step, steps) for step in range(steps)]
    peak = rates.index(max(rates))
    assert max(rates) == 1.0
    assert min(rates) > 0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)

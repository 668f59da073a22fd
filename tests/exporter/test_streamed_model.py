"""The streamed reference: what transformers' own float32 model computes, one module's weights at a time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import MAKERS, make_model, outputs, save_bin, save_folder
from transformers import GPT2Config, GPT2LMHeadModel

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.reference.streamed_model import StreamedModel
from seedtune.exporter.storage.encodings import Encoding, decoded
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout, Target

pytestmark = pytest.mark.traced


@pytest.fixture(params=[*sorted(MAKERS), "gpt2"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    """A checkpoint in half precision, .bin where the model is OPT as the hub's."""
    if request.param == "gpt2":
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=40, n_embd=32, n_layer=2, n_head=4)).eval()
    else:
        model = make_model(request.param)
    save = save_bin if request.param == "opt" else save_folder
    return open_checkpoint(str(save(tmp_path / request.param, model.to(torch.float16))))


def test_it_computes_what_transformers_computes_in_float32(checkpoint: Checkpoint) -> None:
    assert torch.equal(outputs(StreamedModel(checkpoint, {})), outputs(checkpoint.reference()))


def test_its_weights_stay_as_they_are_stored(checkpoint: Checkpoint) -> None:
    streamed = StreamedModel(checkpoint, {})
    seen: set[torch.dtype] = set()
    for module in streamed.model.modules():
        module.register_forward_pre_hook(
            lambda module, _inputs: seen.update(
                value.dtype for value in module._parameters.values() if value is not None
            )
        )
    outputs(streamed)
    assert seen == {torch.float32}
    assert {parameter.dtype for parameter in streamed.model.parameters()} == {torch.float16}


def test_a_call_that_fails_gives_the_weights_back(checkpoint: Checkpoint) -> None:
    streamed = StreamedModel(checkpoint, {})
    before = [id(parameter) for parameter in streamed.model.parameters()]
    with pytest.raises(IndexError):
        streamed(input_ids=torch.tensor([[100_000]]))
    assert [id(parameter) for parameter in streamed.model.parameters()] == before


def linears(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    return {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and "head" not in name and "cls" not in name
    }


def test_stored_forms_and_states_act_as_in_a_model_changed_by_hand(checkpoint: Checkpoint) -> None:
    reference = checkpoint.reference()
    encodings: dict[str, Encoding] = {}
    targets: list[Target] = []
    offset = 0
    for name, layer in linears(reference).items():
        transposed = type(layer).__name__ == "Conv1D"
        encodings[f"{name}.weight"] = Encoding("int8", 1 if transposed else 0, not transposed)
        weight = layer.get_parameter("weight")
        out_features, in_features = weight.shape[::-1] if transposed else weight.shape
        targets.append(Target(name, f"{name}.lora_a", offset, out_features, in_features, 2))
        offset += 2 * out_features
    layout = StateLayout(offset, 2, 0, tuple(targets))
    state = np.random.default_rng(3).standard_normal(offset).astype(np.float32) * 0.1
    streamed = StreamedModel(checkpoint, encodings)
    streamed.set_state(layout, state)
    changed = outputs(streamed)
    streamed.set_state(layout, None)
    plain = outputs(streamed)

    for name, encoding in encodings.items():
        parameter = reference.get_parameter(name)
        parameter.data = torch.from_numpy(decoded(encoding, parameter.data))
    assert torch.equal(plain, outputs(reference))
    for target in layout.targets:
        b = state[target.offset : target.offset + 2 * target.out_features].reshape(-1, 2)
        change = torch.from_numpy(b @ lora_a_values(layout)[target.lora_a])
        layer = reference.get_submodule(target.name)
        layer.get_parameter("weight").data += change.T if type(layer).__name__ == "Conv1D" else change
    assert torch.equal(changed, outputs(reference))
    assert not torch.allclose(changed, plain, atol=1e-3)

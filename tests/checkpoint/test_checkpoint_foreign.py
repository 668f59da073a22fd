"""What other tools leave in a model folder is read right, or refused by name with a remedy that works."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_checkpoint_refusals import edit_weights, refusal
from tiny_models import edit_config, fill, make_model, outputs, save_bin, save_folder
from transformers import PreTrainedModel

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.checkpoint.fetch import hub
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

Give = Callable[[str], Path]
WRAPPERS = ["_orig_mod.", "module.", "module._orig_mod.", "_fsdp_wrapped_module.", "base_model.model."]


def rename(folder: Path, change: Callable[[str], str]) -> None:
    """Gives every weight the name that ``change`` makes of it."""
    tensors = load_file(folder / "model.safetensors")
    save_file({change(name): value for name, value in tensors.items()}, folder / "model.safetensors")


def run_remedy(message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the Python command that a refusal ends in, without the seconds that torch takes to load."""
    _, option, program = shlex.split(message[message.index('python -c "') :])
    assert option == "-c"
    monkeypatch.chdir(folder)
    exec(program, {})


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_a_whole_model_is_refused(spoilt: Give, name: str) -> None:
    """Whether or not peft is installed: nothing is loaded before."""
    folder = spoilt("llama_tied")
    (folder / name).write_text("{}")
    message = refusal(folder)
    assert "a PEFT adapter lies beside a whole model" in message
    assert "merge_and_unload()" in message
    assert f"remove {name}" in message
    (folder / name).unlink()
    open_checkpoint(str(folder))


def test_an_adapter_beside_a_whole_model_of_the_hub_is_refused() -> None:
    """It would not even be fetched."""
    with pytest.raises(SeedTuneError, match=r"beside a whole model[\s\S]*hf download a/b --local-dir"):
        hub.wanted_files(
            ["config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors"], "a/b"
        )


def test_adapter_tensors_beside_whole_weights_are_refused(spoilt: Give) -> None:
    folder = spoilt("llama_tied")
    layer = "model.layers.0.self_attn.q_proj"
    added = {f"{layer}.lora_A.default.weight": torch.ones(4, 32), f"{layer}.lora_B.default.weight": torch.ones(32, 4)}
    edit_weights(folder, lambda tensors: tensors.update(added))
    message = refusal(folder)
    assert "an adapter that is not merged (2 tensors)" in message
    assert f"{layer}.lora_A.default.weight" in message
    assert "merge_and_unload()" in message


def test_layers_inside_an_adapter_are_refused(spoilt: Give) -> None:
    folder = spoilt("llama_tied")
    rename(folder, lambda name: name.replace("q_proj.weight", "q_proj.base_layer.weight"))
    message = refusal(folder)
    assert "an adapter that is not merged" in message
    assert "merge_and_unload()" in message
    assert "without these" not in message


@pytest.mark.parametrize("prefix", WRAPPERS)
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_what_wraps_every_name_is_left_out(tmp_path: Path, prefix: str, kind: str) -> None:
    model = make_model("llama_untied")
    folder = save_bin(tmp_path / "m", model) if kind == "bin" else save_folder(tmp_path / "m", model)
    if kind == "bin":
        state = {prefix + name: value for name, value in model.state_dict().items()}
        torch.save(state, folder / "pytorch_model.bin")
    else:
        rename(folder, lambda name: prefix + name)
    with pytest.warns(UserWarning, match=f"wraps the names of weights is left out, as in {prefix}"):
        checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(model))
    assert torch.equal(outputs(checkpoint.reference()), outputs(model))


@pytest.mark.parametrize("part", ["_orig_mod.", "_fsdp_wrapped_module._checkpoint_wrapped_module."])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_what_wraps_layers_is_left_out(spoilt: Give, prefix: str, part: str) -> None:
    """Layers are compiled, sharded and checkpointed one by one."""
    folder = spoilt("roberta")
    rename(folder, lambda name: prefix + name.replace(".layer.1.", f".layer.1.{part}"))
    with pytest.warns(UserWarning, match=rf"wraps the names of weights.*, as in .*{prefix or part}"):
        checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model("roberta")))


@pytest.mark.parametrize("name", ["llama_untied", "opt"])
def test_a_prefix_that_is_there_twice_is_read(spoilt: Give, name: str) -> None:
    folder = spoilt(name)
    rename(folder, lambda name: "model." + name)
    checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model(name)))


@pytest.mark.parametrize(("name", "prefix"), [("roberta", "model."), ("roberta", "student."), ("opt", "student.")])
def test_another_prefix_is_named_and_its_remedy_works(
    spoilt: Give, prefix: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spoilt(name)
    rename(folder, lambda name: prefix + name)
    message = refusal(folder)
    assert f"the weights have {prefix} in front" in message
    run_remedy(message, folder, monkeypatch)
    checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model(name)))


def test_weights_quantised_by_mlx_are_refused(spoilt: Give) -> None:
    folder = spoilt("llama_tied")
    edit_config(folder, quantization={"group_size": 32, "bits": 4})
    message = refusal(folder)
    assert "quantised by mlx" in message
    assert "'bits': 4" in message


def sharded(folder: Path, **options: str) -> Path:
    """A RoBERTa in several shards, without their index."""
    save_folder(folder, make_model("roberta"), max_shard_size="30KB", **options)
    (folder / "model.safetensors.index.json").unlink()
    return folder


def test_shards_without_their_index_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sharded(tmp_path / "shards")
    message = refusal(folder)
    index = folder / "model.safetensors.index.json"
    assert f"{index}: the shards' index model.safetensors.index.json is missing" in message
    run_remedy(message, folder, monkeypatch)
    checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model("roberta")))


def test_missing_shards_without_their_index_are_counted(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "shards")
    shards = sorted(folder.glob("model-*.safetensors"))
    shards[1].unlink()
    message = refusal(folder)
    assert f"and shard 2 of {len(shards)}" in message
    assert "python -c" not in message


def test_the_only_shard_may_be_renamed(spoilt: Give) -> None:
    folder = spoilt("roberta")
    shard = (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    assert "rename the only shard to model.safetensors" in refusal(folder)
    shard.rename(folder / "model.safetensors")
    open_checkpoint(str(folder))


HOW_TO_RUN = {
    "_attn_implementation": "flash_attention_2",
    "attn_implementation": "flash_attention_2",
    "_attn_implementation_internal": "flash_attention_2",
    "_flash_attn_2_enabled": True,
    "_experts_implementation": "grouped_mm",
    "torch_dtype": "float16",
    "use_cache": False,
    "return_dict": False,
    "output_attentions": True,
    "output_hidden_states": True,
    "torchscript": True,
    "gradient_checkpointing": True,
}


# transformers itself takes no configuration that asks for attentions together with kernels that have none.
TOGETHER = [entry for entry in HOW_TO_RUN if entry != "output_attentions"]


@pytest.mark.parametrize("entries", [*([entry] for entry in HOW_TO_RUN), TOGETHER], ids=lambda entries: entries[-1])
def test_entries_that_say_how_to_run_a_model_mean_nothing(spoilt: Give, entries: list[str]) -> None:
    folder = spoilt("llama_tied")
    edit_config(folder, **{entry: HOW_TO_RUN[entry] for entry in entries})
    checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton("sdpa"), dict(checkpoint.tensors()))
    assert isinstance(filled, PreTrainedModel)
    assert filled.config._attn_implementation == "sdpa"
    expected = outputs(make_model("llama_tied"))
    torch.testing.assert_close(outputs(filled), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(outputs(checkpoint.reference()), expected)


def test_a_package_that_the_loader_misses_is_an_error_with_a_remedy(spoilt: Give) -> None:
    """transformers raises ImportError for what an option of the configuration needs."""
    checkpoint = open_checkpoint(str(spoilt("llama_tied")))
    attention: Any = "flash_attention_2"
    with pytest.raises(SeedTuneError, match="ImportError: FlashAttention2"):
        checkpoint.reference(attention)

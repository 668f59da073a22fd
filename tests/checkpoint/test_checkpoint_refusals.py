"""Every mistake that a folder can hold ends in one error that names the file, the value and the remedy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import edit_config, make_model, save_bin, save_folder
from transformers import BertModel, LlamaModel

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

Give = Callable[[str], Path]


def refusal(folder: Path | str) -> str:
    """The message that opening and reading ``folder`` ends in; it always says what to do next."""
    with pytest.raises(SeedTuneError) as caught:
        for _ in open_checkpoint(str(folder)).tensors():
            pass
    assert caught.value.remedy
    return str(caught.value)


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Rewrites model.safetensors after ``change`` had its way with the tensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_missing_files(spoilt: Give) -> None:
    folder = spoilt("llama_tied")
    (folder / "model.safetensors").unlink()
    assert "holds no weights" in refusal(folder)
    (folder / "tiny.gguf").write_bytes(b"")
    assert f"name the GGUF file itself: {folder / 'tiny.gguf'}" in refusal(folder)
    (folder / "config.json").unlink()
    assert f"{folder / 'config.json'}: the configuration is missing" in refusal(folder)


def test_missing_tokenizer(spoilt: Give) -> None:
    folder = spoilt("opt")
    (folder / "tokenizer.json").unlink()
    assert f"{folder / 'tokenizer.json'}: the tokenizer is missing" in refusal(folder)


@pytest.mark.parametrize("content", ["{", '{"model": {"type": "BPE"}}', "[]"])
def test_damaged_tokenizer(spoilt: Give, content: str) -> None:
    folder = spoilt("opt")
    (folder / "tokenizer.json").write_text(content)
    assert f"{folder / 'tokenizer.json'}: the tokenizer cannot be read" in refusal(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"model_type": "llama",\n oops}', "config.json:2: the configuration is not JSON"),
        ("[1]", "the configuration is not a JSON object"),
        ("{}", "transformers does not know this configuration"),
        ('{"model_type": "no_such_model"}', "no_such_model"),
        ('{"model_type": "x", "auto_map": {"AutoConfig": "evil.Config"}}', "never run"),
        ('{"model_type": "llama", "hidden_size": "wide"}', "transformers does not know this configuration"),
        ('{"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}', "gptq"),
    ],
)
def test_bad_configuration(spoilt: Give, content: str, said: str) -> None:
    folder = spoilt("llama_tied")
    (folder / "config.json").write_text(content)
    assert said in refusal(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 5_000])
def test_truncated_safetensors(spoilt: Give, keep: int) -> None:
    file = spoilt("roberta") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert f"{file}: the file is damaged or was cut short" in refusal(file.parent)


def test_corrupt_safetensors_header(spoilt: Give) -> None:
    file = spoilt("roberta") / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[8:40] = b"\xff" * 32
    file.write_bytes(content)
    assert f"{file}: the file is damaged" in refusal(file.parent)


def test_shards_gone_or_outside(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "shards", make_model("opt"), max_shard_size="30KB")
    second = sorted(folder.glob("model-*.safetensors"))[1]
    kept = second.read_bytes()
    second.unlink()
    assert f"{second}: a shard is missing" in refusal(folder)
    second.write_bytes(kept[:200])
    assert f"{second}: the file is damaged" in refusal(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    assert "a file outside the folder" in refusal(folder)
    index.write_text('{"weight_map": 3}')
    assert f"{index}: the index of the shards cannot be read" in refusal(folder)
    index.write_text('{"weight_map": {}}')
    assert "a shard is missing" in refusal(folder)


@pytest.mark.parametrize("keep", [0, 10, 3_000])
def test_truncated_bin(tmp_path: Path, keep: int) -> None:
    file = save_bin(tmp_path / "bin", make_model("opt")) / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:keep])
    assert f"{file}: the file is damaged" in refusal(file.parent)


def test_bin_with_code_is_never_run(tmp_path: Path) -> None:
    file = save_bin(tmp_path / "bin", make_model("opt")) / "pytorch_model.bin"
    torch.save({"a": Bomb(tmp_path / "ran")}, file)
    assert "Python objects other than tensors" in refusal(file.parent)
    assert not (tmp_path / "ran").exists()


class Bomb:
    """Unpickling it would make a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.mkdir, (self.mark,))


def test_missing_weight_is_named(spoilt: Give) -> None:
    folder = spoilt("llama_untied")
    edit_weights(folder, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    assert "model.layers.1.mlp.up_proj.weight" in refusal(folder)


def test_a_layer_that_the_configuration_does_not_count_is_named(spoilt: Give) -> None:
    folder = spoilt("llama_untied")
    edit_config(folder, num_hidden_layers=1)
    message = refusal(folder)
    assert "more layers than the configuration says" in message
    assert "model.layers.1.mlp.up_proj.weight" in message


def test_another_head_is_left_out_with_a_warning(spoilt: Give) -> None:
    folder = spoilt("llama_untied")
    edit_weights(folder, lambda tensors: tensors.update({"score.weight": torch.zeros(2, 32)}))
    with pytest.warns(UserWarning, match="no place for score.weight"):
        names = [name for name, _ in open_checkpoint(str(folder)).tensors()]
    assert "score.weight" not in names
    assert len(names) == len(list(make_model("llama_untied").parameters()))


@pytest.mark.parametrize(("name", "headless"), [("bert", BertModel), ("llama_untied", LlamaModel)])
def test_headless_checkpoint(tmp_path: Path, name: str, headless: type) -> None:
    """transformers would give such a model a random head and only log it."""
    whole = make_model(name)
    folder = save_folder(tmp_path / name, whole)
    body = headless(whole.config)
    body.save_pretrained(folder)
    assert "lacks weights of the language model" in refusal(folder)
    with pytest.raises(SeedTuneError, match="lacks weights"):
        open_checkpoint(str(folder)).reference()


def test_headless_but_tied_is_whole(tmp_path: Path) -> None:
    """With a tied head the body is all there is."""
    whole = make_model("llama_tied")
    folder = save_folder(tmp_path / "tied", whole)
    whole.model.save_pretrained(folder)
    checkpoint = open_checkpoint(str(folder))
    assert [name for name, _ in checkpoint.tensors()] == [name for name, _ in whole.named_parameters()]


def test_mismatched_shape_gives_both(spoilt: Give) -> None:
    folder = spoilt("roberta")
    edit_config(folder, intermediate_size=48)
    message = refusal(folder)
    assert "other shapes than the configuration says" in message
    assert "[64, 32] instead of [48, 32]" in message


def test_tied_configuration_of_untied_weights(spoilt: Give) -> None:
    folder = spoilt("llama_untied")
    edit_config(folder, tie_word_embeddings=True)
    message = refusal(folder)
    assert "lm_head.weight" in message
    assert '"tie_word_embeddings": false' in message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_not_finite(spoilt: Give, value: float, dtype: torch.dtype) -> None:
    folder = spoilt("opt")

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        for name in tensors:
            tensors[name] = tensors[name].to(dtype)
        tensors["model.decoder.layers.1.fc1.weight"][3, 5] = value

    edit_weights(folder, spoil)
    message = refusal(folder)
    assert "model.decoder.layers.1.fc1.weight holds values that are not finite" in message
    assert "1 of 2,048 values" in message


def test_eight_bit_floats(spoilt: Give) -> None:
    folder = spoilt("opt")
    name = "model.decoder.layers.0.fc1.weight"
    edit_weights(folder, lambda tensors: tensors.update({name: tensors[name].to(torch.float8_e4m3fn)}))
    message = refusal(folder)
    assert name in message
    assert "F8_E4M3" in message


def test_adapter_alone(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "merge the PEFT adapter" in refusal(tmp_path)


def test_masked_model_without_mask_token(spoilt: Give) -> None:
    folder = spoilt("roberta")
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    del settings["mask_token"]
    # A class of its own would bring <mask> back.
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    file.write_text(json.dumps(settings))
    with pytest.raises(SeedTuneError, match="has no mask token"):
        _ = open_checkpoint(str(folder)).mask_token

"""Folders in every format: the filled skeleton computes what transformers' own model computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import MAKERS, fill, in_type, make_model, outputs, save_bin, save_folder
from transformers import PreTrainedModel

from seedtune.exporter.checkpoint import Attention, Checkpoint, open_checkpoint
from seedtune.exporter.checkpoint.folder import FolderCheckpoint

pytestmark = pytest.mark.traced


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_filled_skeleton_equals_reference(saved: Callable[[str], Path], name: str) -> None:
    checkpoint = open_checkpoint(str(saved(name)))
    reference = checkpoint.reference()
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(reference))
    assert torch.equal(outputs(filled), outputs(make_model(name)))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_names_are_the_skeletons_once_each(saved: Callable[[str], Path], name: str) -> None:
    checkpoint = open_checkpoint(str(saved(name)))
    names = [name for name, _ in checkpoint.tensors()]
    assert names == [name for name, _ in checkpoint.skeleton().named_parameters()]


def test_tied_head_comes_once_and_untied_twice(saved: Callable[[str], Path]) -> None:
    assert "lm_head.weight" not in dict(open_checkpoint(str(saved("llama_tied"))).tensors())
    assert "lm_head.weight" in dict(open_checkpoint(str(saved("llama_untied"))).tensors())


def test_skeleton_buffers_equal_reference(saved: Callable[[str], Path]) -> None:
    for name in MAKERS:
        checkpoint = open_checkpoint(str(saved(name)))
        buffers = dict(checkpoint.skeleton().named_buffers())
        wanted = dict(checkpoint.reference().named_buffers())
        assert buffers.keys() == wanted.keys()
        for key, value in wanted.items():
            assert torch.equal(buffers[key], value), (name, key)


def test_skeleton_is_float32_eval_without_gradients(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "half", in_type(make_model("opt"), torch.bfloat16))
    skeleton = open_checkpoint(str(folder)).skeleton()
    assert not skeleton.training
    assert {parameter.dtype for parameter in skeleton.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in skeleton.parameters())


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_is_the_one_asked_for(saved: Callable[[str], Path], attention: Attention) -> None:
    checkpoint = open_checkpoint(str(saved("llama_tied")))
    for model in (checkpoint.skeleton(attention), checkpoint.reference(attention)):
        assert isinstance(model, PreTrainedModel)
        assert model.config._attn_implementation == attention


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_kept(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = save_folder(tmp_path / "half", in_type(make_model("llama_untied"), dtype))
    checkpoint = open_checkpoint(str(folder))
    tensors = dict(checkpoint.tensors())
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    assert torch.equal(outputs(fill(checkpoint.skeleton(), tensors)), outputs(checkpoint.reference()))


def test_mixed_types_lose_nothing(tmp_path: Path) -> None:
    """transformers' dtype="auto" would round the float32 norms to the configuration's bfloat16."""
    model = in_type(make_model("llama_untied"), torch.bfloat16)
    model.model.norm.to(torch.float32).weight.data.fill_(1.000_1)
    checkpoint = open_checkpoint(str(save_folder(tmp_path / "mixed", model)))
    assert torch.equal(dict(checkpoint.tensors())["model.norm.weight"], torch.full((32,), 1.000_1))


def kind_of_weights(checkpoint: Checkpoint) -> str:
    assert isinstance(checkpoint, FolderCheckpoint)
    return checkpoint.weight_files.kind


def test_shards(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "shards", make_model("roberta"), max_shard_size="30KB")
    checkpoint = open_checkpoint(str(folder))
    assert len(checkpoint.weight_paths) > 2
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model("roberta")))


@pytest.mark.parametrize("name", ["opt", "bert", "llama_untied"])
def test_bin(tmp_path: Path, name: str) -> None:
    checkpoint = open_checkpoint(str(save_bin(tmp_path / "bin", make_model(name))))
    assert kind_of_weights(checkpoint) == "pickle"
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model(name)))
    assert torch.equal(outputs(filled), outputs(checkpoint.reference()))


def test_legacy_bin_and_old_names(tmp_path: Path) -> None:
    """BERT's first checkpoints: no zip container, gamma and beta, a pooler nobody asked for."""
    folder = save_bin(tmp_path / "old", make_model("bert"))
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in make_model("bert").state_dict().items()
    }
    state["bert.pooler.dense.weight"] = torch.zeros(32, 32)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    checkpoint = open_checkpoint(str(folder))
    filled = fill(checkpoint.skeleton(), dict(checkpoint.tensors()))
    assert torch.equal(outputs(filled), outputs(make_model("bert")))


def test_safetensors_wins_over_bin(spoilt: Callable[[str], Path]) -> None:
    folder = spoilt("opt")
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    assert kind_of_weights(open_checkpoint(str(folder))) == "safetensors"


def test_what_the_exporter_asks(saved: Callable[[str], Path]) -> None:
    roberta = open_checkpoint(str(saved("roberta")))
    assert roberta.source == str(saved("roberta"))
    assert (roberta.family, roberta.mask_token, roberta.unknown_token) == ("masked", "<mask>", "<unk>")
    assert (roberta.padding_id, roberta.max_positions) == (1, 40 - 1 - 1)
    bert = open_checkpoint(str(saved("bert")))
    assert (bert.family, bert.padding_id, bert.max_positions) == ("masked", 0, 40)
    opt = open_checkpoint(str(saved("opt")))
    assert (opt.family, opt.padding_id, opt.max_positions) == ("causal", 1, 40)
    llama = open_checkpoint(str(saved("llama_tied")))
    assert (llama.family, llama.padding_id, llama.max_positions) == ("causal", 1, 40)


@pytest.mark.parametrize("name", ["roberta", "opt", "bert"])
def test_the_model_takes_max_positions_and_no_more(saved: Callable[[str], Path], name: str) -> None:
    checkpoint = open_checkpoint(str(saved(name)))
    model = checkpoint.reference()
    full = torch.full((1, checkpoint.max_positions), 7)
    model(input_ids=full, attention_mask=torch.ones_like(full))
    longer = torch.full((1, checkpoint.max_positions + 1), 7)
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=longer, attention_mask=torch.ones_like(longer))


def test_tokenizer_is_clean(saved: Callable[[str], Path]) -> None:
    tokenizer = open_checkpoint(str(saved("opt"))).tokenizer
    assert tokenizer.truncation is None
    assert tokenizer.padding is None
    assert tokenizer.encode("ab").tokens == ["a", "b", "</s>"]
    assert tokenizer.encode("ab", add_special_tokens=False).tokens == ["a", "b"]


def test_opt_as_the_hub_has_it(spoilt: Callable[[str], Path]) -> None:
    """facebook/opt-* bring vocab.json and merges.txt, no tokenizer.json; every text begins with </s>."""
    folder = spoilt("opt")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    token = {
        "__type": "AddedToken",
        "lstrip": False,
        "normalized": True,
        "rstrip": False,
        "single_word": False,
    }
    settings = {
        "add_bos_token": True,
        "add_prefix_space": False,
        "bos_token": token | {"content": "</s>"},
        "eos_token": token | {"content": "</s>"},
        "errors": "replace",
        "pad_token": token | {"content": "<pad>"},
        "tokenizer_class": "GPT2Tokenizer",
        "unk_token": token | {"content": "</s>"},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.tokenizer.encode("a b").tokens == ["</s>", "a", "Ġ", "b"]
    assert checkpoint.unknown_token == "</s>"
    assert checkpoint.padding_id == 1

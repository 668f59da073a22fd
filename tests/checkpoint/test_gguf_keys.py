"""No key of a GGUF file is dropped in silence: the model computes what it says, or the file is refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf.constants import Keys
from gguf_lab import F32, key, opened
from tiny_gguf import write_gguf
from tiny_models import make_model, outputs

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

REFUSED = {
    "llama.rope.scaling.type": "longrope",
    "llama.rope.scaling.attn_factor": 1.5,
    "llama.rope.scaling.yarn_log_multiplier": 0.5,
    "llama.rope.dimension_sections": [1, 1, 2],
    "llama.rope.freq_base_swa": 500.0,
    "llama.attn_logit_softcapping": 50.0,
    "llama.final_logit_softcapping": 30.0,
    "llama.logit_scale": 0.5,
    "llama.embedding_scale": 2.0,
    "llama.residual_scale": 0.5,
    "llama.attention.scale": 0.1,
    "llama.attention.causal": False,
    "llama.attention.sliding_window": 8,
    "llama.attention.value_length": 16,
    "llama.expert_weights_scale": 2.0,
    "llama.use_parallel_residual": True,
    "llama.tensor_data_layout": "another",
    "llama.something_of_tomorrow": 1,
    "llama.attention.layers_of_tomorrow": [1, 2],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_key_that_changes_the_model_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SeedTuneError) as caught:
        opened(tmp_path, key(name, REFUSED[name]))
    assert caught.value.what == "the file says something of its model that transformers' reader ignores"
    assert isinstance(caught.value.value, dict)
    assert list(caught.value.value) == [name]
    assert "safetensors" in str(caught.value.remedy)


MEANS_NOTHING = {
    "llama.rope.scaling.type": "none",
    "llama.rope.scaling.factor": 1.0,
    "llama.rope.scaling.original_context_length": 16,
    "llama.rope.dimension_count": 8,
    "llama.attention.key_length": 8,
    "llama.attention.value_length": 8,
    "llama.attention.scale": 8**-0.5,
    "llama.attention.causal": True,
    "llama.attention.sliding_window": 4_096,
    "llama.attn_logit_softcapping": 0.0,
    "llama.logit_scale": 1.0,
    "llama.expert_count": 0,
    "llama.pooling_type": 0,
    "llama.tensor_data_layout": "Meta AI original pth",
    "general.sampling.temp": 0.7,
    "quantize.imatrix.entries_count": 3,
    "tokenizer.chat_template": "{{ messages }}",
}


@pytest.mark.parametrize("name", MEANS_NOTHING)
def test_a_value_that_means_nothing_is_no_obstacle(tmp_path: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*metadata")
        checkpoint, model = opened(tmp_path, key(name, MEANS_NOTHING[name]))
    torch.testing.assert_close(outputs(checkpoint.reference()), outputs(model), rtol=1e-5, atol=1e-6)


def known_keys() -> list[str]:
    """Every key that the gguf package has under an architecture's name."""
    rooms: list[type] = [Keys]
    found: list[str] = []
    for room in rooms:
        inner = [value for name, value in vars(room).items() if not name.startswith("_")]
        rooms += [value for value in inner if isinstance(value, type)]
        found += [value.format(arch="llama", dense="dense_2") for value in inner if str(value).startswith("{arch}.")]
    return sorted(found)


# What the writer of the test, or a reader before the keys, says of its own.
SAID = {"context_length", "embedding_length", "block_count", "feed_forward_length", "vocab_size", "pooling_type"}
SAID |= {"attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "rope.freq_base"}


def test_every_key_that_gguf_knows_changes_the_configuration_or_is_refused(tmp_path: Path) -> None:
    """With a value that nobody writes: none of them may pass as if it were not there."""
    names = [name for name in known_keys() if name.removeprefix("llama.") not in SAID]
    assert len(names) > 80
    plain = opened(tmp_path, lambda _writer: None)[0].config.to_dict()
    silent = []
    for name in names:
        try:
            told = opened(tmp_path, key(name, "strange" if name.endswith("type") else 3.0))[0].config.to_dict()
        except SeedTuneError:
            continue
        if told == plain:
            silent.append(name)
    # Without a factor these say nothing.
    assert [name.rpartition(".")[2] for name in silent] == [
        "original_context_length",
        "yarn_beta_fast",
        "yarn_beta_slow",
    ]


def test_a_mixture_of_experts_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="a mixture of experts") as caught:
        opened(tmp_path, key("llama.expert_count", 8))
    assert caught.value.value == "llama, 8 experts"


def test_a_file_whose_rows_may_have_no_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="a row may have no token") as caught:
        opened(tmp_path, key("llama.context_length", 0))
    assert caught.value.value == "llama.context_length 0"


def test_an_adapter_in_a_gguf_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match="no whole model"):
        opened(tmp_path, key("general.type", "adapter"))


def test_a_key_of_nobody_is_told_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"metadata that is not read: mine\.note"):
        opened(tmp_path, key("mine.note", 3))


@pytest.mark.parametrize("name", ["blk.0.attn_q.bias", "output_norm.bias", "cls.weight"])
def test_a_tensor_without_a_place_is_refused(tmp_path: Path, name: str) -> None:
    """llama.cpp would add it, or it would not be in the file."""
    checkpoint, _ = opened(tmp_path, lambda writer: writer.add_tensor(name, np.ones(32, np.float32)))
    with pytest.raises(SeedTuneError, match="no place for") as caught:
        checkpoint.tensors()
    assert caught.value.value == [name]


def test_the_models_of_the_other_tests_are_plain(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(write_gguf(tmp_path / "tiny.gguf", make_model("llama_untied"), F32)))
    assert checkpoint.config.rope_parameters["rope_type"] == "default"

"""An adapter of llama.cpp: llama.cpp itself loads it and says what PEFT says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import gguf
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from llama_cpp import logits, write_base
from peft import PeftModel

import seedtune as face
from seedtune.exporter.merging.gguf_adapter import FORMS, write_gguf_adapter
from seedtune.runtime.adapters.peft_files import write_peft_adapter
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.state_file import MadeOf, write_state

pytestmark = pytest.mark.traced
TEXTS = ([0], [0, 17, 261, 300, 45], [0, 284, 9, 77, 300, 301, 12, 45, 88, 260])
# Relative; llama.cpp keeps keys and values in 16 bits. A wrong order of rows moves logits by a third of the largest.
ALLOWED = 3e-3
# Class -> llama.cpp's name, and whether queries and keys have pairs as neighbours, as its own converter has them.
KINDS = {
    "LlamaForCausalLM": ("llama", True),
    "MistralForCausalLM": ("llama", True),
    "Qwen2ForCausalLM": ("qwen2", False),
    "Qwen3ForCausalLM": ("qwen3", False),
}


@pytest.fixture(scope="module")
def tuned(tiny_bundle: Path) -> SimpleNamespace:
    """The manifest of a bundle with all targets, and a state far from zero whose head is zero."""
    with face.open(tiny_bundle) as model:
        manifest = model.bundle.manifest
        values = 0.1 * np.random.default_rng(3).standard_normal(len(model.state.values)).astype(np.float32)
    assert manifest.state.head is not None
    values[manifest.state.head.offset :] = 0
    return SimpleNamespace(manifest=manifest, values=values)


def test_every_known_form_is_compared() -> None:
    assert set(FORMS) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_llama_cpp_says_with_the_adapter_what_peft_says(
    name: str, tuned: SimpleNamespace, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    kind = getattr(transformers, name)
    shape = json.loads((tiny_checkpoint / "config.json").read_text())
    for key in ("model_type", "architectures", "transformers_version", "rope_parameters"):
        shape.pop(key, None)
    model = kind(kind.config_class(**shape)).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.05 * noise if "norm" in parameter_name else 0.2 * noise)
    folder = tmp_path / "base"
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(tiny_checkpoint).save_pretrained(folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    described = msgspec.structs.replace(
        tuned.manifest.language_model.model, architecture=name, parameters=parameters, source=str(folder)
    )
    objective = msgspec.structs.replace(tuned.manifest.language_model, model=described)
    manifest = msgspec.structs.replace(tuned.manifest, objective=objective)

    write_gguf_adapter(tmp_path / "adapter.gguf", manifest, tuned.values)
    write_peft_adapter(tmp_path / "peft", manifest, tuned.values)
    architecture, neighbours = KINDS[name]
    write_base(tmp_path / "base.gguf", model, architecture, neighbours=neighbours)
    plain = last_logits(model)
    expected = last_logits(PeftModel.from_pretrained(model, str(tmp_path / "peft")))
    assert np.abs(expected - plain).max() > 0.1, "the case is no test: the state moves nothing"
    for adapter, wanted in ((None, plain), (tmp_path / "adapter.gguf", expected)):
        found = np.stack(logits(tmp_path / "base.gguf", adapter, TEXTS, model.config.vocab_size))
        assert np.abs(found - wanted).max() <= ALLOWED * np.abs(wanted).max()


def last_logits(model: torch.nn.Module) -> npt.NDArray[np.float32]:
    """[texts, V]."""
    with torch.no_grad():
        return np.stack([model(torch.tensor([text])).logits[0, -1].numpy() for text in TEXTS])


def test_the_command_writes_the_file_and_says_how_it_is_loaded(
    tuned: SimpleNamespace, tiny_bundle: Path, seedtune: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    with face.open(tiny_bundle) as model:
        model.state.values[:] = tuned.values
        write_state(tmp_path / "state", model.bundle, model.state, MadeOf(3, "a test"))
    out = tmp_path / "adapter.gguf"
    done = seedtune("adapter", tiny_bundle, "--state", tmp_path / "state", "--format", "gguf-lora", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "--lora" in done.stderr
    reader = gguf.GGUFReader(out)
    words = {name: reader.fields[name].contents() for name in ("general.type", "adapter.type", "general.architecture")}
    assert words == {"general.type": "adapter", "adapter.type": "lora", "general.architecture": "llama"}
    assert reader.fields["adapter.lora.alpha"].contents() == tuned.manifest.state.rank
    shapes = {tensor.name: tuple(tensor.data.shape) for tensor in reader.tensors}
    assert len(shapes) == 2 * len(tuned.manifest.state.targets)
    assert shapes["blk.1.attn_k.weight.lora_a"] == (4, 32)
    assert shapes["blk.1.attn_k.weight.lora_b"] == (16, 4)


def test_what_llama_cpp_cannot_say_is_refused_by_type(
    tuned: SimpleNamespace, suffix_bundle: Path, tiny_bundle: Path, tiny_masked_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "adapter.gguf"
    with face.open(suffix_bundle) as model:
        with pytest.raises(SeedTuneError, match="acts at every token") as caught:
            face.adapter(model, out=out, form="gguf-lora", without_head=True)
        assert "--scope all" in str(caught.value.remedy)
    with face.open(tiny_bundle) as model:
        model.state.values[:] = 1
        with pytest.raises(SeedTuneError, match="no place for the head"):
            face.adapter(model, out=out, form="gguf-lora")
        with pytest.raises(SeedTuneError, match="another base model"):
            face.adapter(model, out=out, form="gguf-lora", without_head=True, source=tiny_masked_checkpoint)
        with pytest.raises(SeedTuneError, match="cannot be written"):
            face.adapter(model, out=tmp_path / "no" / "a.gguf", form="gguf-lora", without_head=True)
    other = msgspec.structs.replace(tuned.manifest.language_model.model, architecture="OPTForCausalLM")
    manifest = msgspec.structs.replace(
        tuned.manifest, objective=msgspec.structs.replace(tuned.manifest.language_model, model=other)
    )
    with pytest.raises(SeedTuneError, match="not known here") as caught:
        write_gguf_adapter(out, manifest, tuned.values)
    assert "convert_lora_to_gguf.py" in str(caught.value.remedy)
    assert list(tmp_path.iterdir()) == []

"""Memory of opening and reading a checkpoint, as /proc counts it: RssAnon is what the kernel cannot drop.

Run with ``pytest -s tests/checkpoint/test_checkpoint_memory.py`` to see the figures. Memory that earlier
tests freed is given back to the kernel first, or it would hide what is taken now; the last test is a control.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType
from tiny_gguf import write_gguf
from tiny_models import in_type, make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from seedtune.exporter.checkpoint import open_checkpoint

MIB = 1 << 20
pytestmark = [
    pytest.mark.traced,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"),
        reason="RssAnon is Linux's, malloc_trim glibc's",
    ),
]


def anonymous_bytes() -> int:
    """RssAnon of this process, after malloc returned what it holds free."""
    ctypes.CDLL(None).malloc_trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon in /proc/self/status")


def make_large(dtype: torch.dtype, layers: int) -> PreTrainedModel:
    """12.8 million parameters a layer and 16 million outside, all 0.01."""
    config = LlamaConfig(
        vocab_size=8_000,
        hidden_size=1_024,
        intermediate_size=2_816,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=8,
        dtype=dtype,
    )
    with torch.device("meta"):
        model = in_type(LlamaForCausalLM(config), dtype)
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(0.01)
    return model


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One checkpoint a format."""
    root = tmp_path_factory.mktemp("large")
    folders = {name: root / name for name in ("safetensors", "bfloat16", "bin")}
    make_large(torch.float32, 7).save_pretrained(folders["safetensors"], max_shard_size="150MB")
    make_large(torch.bfloat16, 3).save_pretrained(folders["bfloat16"])
    model = make_large(torch.float32, 2)
    model.config.save_pretrained(folders["bin"])
    torch.save(model.state_dict(), folders["bin"] / "pytorch_model.bin")
    for folder in folders.values():
        make_tokenizer().save_pretrained(folder)
    return folders | {"gguf": write_gguf(root / "large.gguf", model, GGMLQuantizationType.F16)}


@pytest.mark.parametrize(
    ("name", "read_mib", "limit_mib"),
    [
        ("safetensors", 405, 8),
        ("bfloat16", 104, 8),
        ("bin", 160, 8),
        # The largest tensor has 31 MiB as float32; gguf makes copies of it on the way, never of the model.
        ("gguf", 160, 100),
    ],
)
def test_weights_stay_in_their_file(large: dict[str, Path], name: str, read_mib: int, limit_mib: int) -> None:
    checkpoint = open_checkpoint(str(large[name]))
    for _ in checkpoint.tensors():  # imports and caches, which are not the model's
        break
    before = anonymous_bytes()
    peak = read = 0
    for _, tensor in checkpoint.tensors():
        read += tensor.numel() * tensor.element_size()
        peak = max(peak, anonymous_bytes())
    print(f"{name}: {read / MIB:.1f} MiB read, RssAnon grew by {(peak - before) / MIB:.1f} MiB")
    assert read // MIB == read_mib
    assert peak - before < limit_mib * MIB


def test_skeleton_is_never_committed(large: dict[str, Path]) -> None:
    checkpoint = open_checkpoint(str(large["safetensors"]))
    before = anonymous_bytes()
    skeleton = checkpoint.skeleton()
    grown = anonymous_bytes() - before
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in skeleton.parameters())
    print(f"skeleton: {parameters / MIB:.1f} MiB of parameters, RssAnon grew by {grown / MIB:.1f} MiB")
    assert parameters > 400 * MIB
    # 0.3 MiB in a fresh process, 30 MiB after other tests: numpy asks for huge pages, the heap keeps that
    # advice when the array is freed, and malloc's header before each tensor then commits 2 MiB.
    assert grown < parameters // 8


def test_a_copy_would_show(large: dict[str, Path]) -> None:
    """The control: bfloat16 weights asked for in float32 cannot stay in their file."""
    checkpoint = open_checkpoint(str(large["bfloat16"]))
    before = anonymous_bytes()
    reference = checkpoint.reference()
    grown = anonymous_bytes() - before
    assert grown > 200 * MIB
    del reference

"""Memory of opening and reading a checkpoint, as /proc counts it: RssAnon is what the kernel cannot drop.

Run with ``pytest -s tests/checkpoint/test_checkpoint_memory.py`` to see the figures. Each measurement has a
process of its own, because memory that an earlier test freed would hide what this one takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

MIB = 1 << 20
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="RssAnon is Linux's")

MEASURE = """
import json, sys
from seedtune.exporter.checkpoint import open_checkpoint

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

open_checkpoint(sys.argv[2])  # imports and caches, which are not the model's
checkpoint = open_checkpoint(sys.argv[1])
for _ in open_checkpoint(sys.argv[2]).tensors(): pass
before = anonymous()
skeleton = checkpoint.skeleton()
after_skeleton = anonymous()
parameter_bytes = sum(p.numel() * p.element_size() for p in skeleton.parameters())
peak, read = 0, 0
for _, tensor in checkpoint.tensors():
    read += tensor.numel() * tensor.element_size()
    tensor.view(-1)[::512].double().sum()
    peak = max(peak, anonymous())
print(json.dumps({
    "parameter_bytes": parameter_bytes,
    "skeleton_bytes": after_skeleton - before,
    "read_bytes": read,
    "tensors_bytes": peak - after_skeleton,
}))
"""


def save_large(folder: Path, dtype: torch.dtype, kind: str) -> Path:
    """About 105 million parameters with a cheap pattern in them."""
    config = LlamaConfig(
        vocab_size=8_000,
        hidden_size=1_024,
        intermediate_size=2_816,
        num_hidden_layers=7,
        num_attention_heads=8,
        dtype=dtype,
    )
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(0.01)
    if kind == "safetensors":
        model.save_pretrained(folder, max_shard_size="150MB")
    else:
        config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    make_tokenizer().save_pretrained(folder)
    return folder


def measure(folder: Path, small: Path) -> dict[str, int]:
    """Growth of RssAnon in a fresh process, bytes; ``small`` warms it up."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), str(small)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [(torch.float32, "safetensors"), (torch.bfloat16, "safetensors"), (torch.float32, "bin")],
)
def test_nothing_is_copied(saved: object, tmp_path: Path, dtype: torch.dtype, kind: str) -> None:
    figures = measure(save_large(tmp_path / "large", dtype, kind), saved("llama_tied"))
    print(kind, dtype, {name: f"{value / MIB:.1f} MiB" for name, value in figures.items()})
    assert figures["parameter_bytes"] > 400_000_000
    assert figures["read_bytes"] > 200_000_000
    # Measured: 1 to 4 MiB for each. The margin is for other allocators.
    assert figures["skeleton_bytes"] < 16 * MIB
    assert figures["tensors_bytes"] < 24 * MIB

"""``W + B A`` in place of every target's W: a checkpoint of the base model's own form, one tensor at a time.

    W' = fl(W + B A)        computed in float32, rounded to the type that W is stored in

A shard is written as soon as it is full, so that memory holds one shard and one matrix.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import nn

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.runtime.bundle.low_rank import lora_a_values, lora_b_values
from seedtune.runtime.bundle.manifest import Manifest, Target
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import new_folder

SHARD = "model-{number:05d}-of-{count:05d}.safetensors"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
WEIGHT = ".weight"


@dataclass
class _Shards:
    """Tensors on their way into files of at most ``most_bytes``, or of one tensor."""

    folder: Path
    most_bytes: int
    waiting: dict[str, torch.Tensor] = field(default_factory=dict)
    held_bytes: int = 0
    total_bytes: int = 0
    written: list[list[str]] = field(default_factory=list)

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Takes the tensor ``name``; writes those before it if both together are too large."""
        size = tensor.numel() * tensor.element_size()
        if self.waiting and self.held_bytes + size > self.most_bytes:
            self._write()
        self.waiting[name] = tensor.clone().contiguous()
        self.held_bytes += size
        self.total_bytes += size

    def finish(self) -> None:
        """Writes what is left, gives the files their names, and more than one an index."""
        self._write()
        count = len(self.written)
        names = [SHARD.format(number=number, count=count) for number in range(1, count + 1)] if count > 1 else [WHOLE]
        for number, name in enumerate(names):
            self._part(number).rename(self.folder / name)
        if count > 1:
            places = {tensor: name for name, of_file in zip(names, self.written, strict=True) for tensor in of_file}
            index = {"metadata": {"total_size": self.total_bytes}, "weight_map": places}
            (self.folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number}.safetensors"

    def _write(self) -> None:
        save_file(self.waiting, self._part(len(self.written)), metadata={"format": "pt"})
        self.written.append(list(self.waiting))
        self.waiting, self.held_bytes = {}, 0


def write_merged(
    out: Path,
    manifest: Manifest,
    state: npt.NDArray[np.float32],
    *,
    source: str | None = None,
    shard_bytes: int = 2 * 10**9,
    phase: Callable[[str], None] = lambda _name: None,
) -> int:
    """Writes the checkpoint into the new folder ``out`` and returns the bytes of its weights.

    Args:
        out: the folder.
        manifest: of the bundle; the caller has found that the state acts at every token.
        state: [n] float32.
        source: where the base model is, if not where the bundle was exported from.
        shard_bytes: of a file of weights, at most.
        phase: told the name of each phase as it starts.

    Raises:
        SeedTuneError: the base model is not there or is another one, or the folder cannot be made.
    """
    phase("opening the base model")
    checkpoint, targets = open_base(manifest, source)
    lora_a = lora_a_values(manifest.state)
    transposed = _transposed(checkpoint.skeleton())
    with new_folder(out) as folder:
        phase("writing the weights")
        shards = _Shards(folder, shard_bytes)
        for name, tensor in checkpoint.tensors():
            target = targets.get(name)
            if target is not None:
                change = torch.from_numpy(lora_b_values(target, state) @ lora_a[target.lora_a])
                tensor = (tensor.float() + (change.T if target.name in transposed else change)).to(tensor.dtype)
            shards.add(name, tensor)
        shards.finish()
        checkpoint.config.save_pretrained(folder)
        checkpoint.pretrained_tokenizer.save_pretrained(str(folder))
    return shards.total_bytes


def _transposed(skeleton: nn.Module) -> set[str]:
    """Names of the layers that keep their weight as [in_features, out_features]."""
    return {name for name, module in skeleton.named_modules() if type(module).__name__ == "Conv1D"}


def open_base(manifest: Manifest, source: str | None) -> tuple[Checkpoint, dict[str, Target]]:
    """The checkpoint that the bundle was exported from, and weight -> the target that changes it.

    Args:
        manifest: of the bundle.
        source: where it is now, if somewhere else.

    Raises:
        SeedTuneError: it is not there, or another model is.
    """
    checkpoint = open_checkpoint(source or manifest.language_model.model.source)
    skeleton, model = checkpoint.skeleton(), manifest.language_model.model
    shapes = {name: tuple(value.shape) for name, value in skeleton.named_parameters()}
    parameters = sum(value.numel() for value in skeleton.parameters())
    if type(skeleton).__name__ != model.architecture or parameters != model.parameters:
        raise SeedTuneError(
            "the state was tuned over another base model",
            file=checkpoint.source,
            value=f"{type(skeleton).__name__} of {parameters:,} parameters",
            rule=f"{model.architecture} of {model.parameters:,} parameters, as {model.source} was",
            remedy="name the model that the bundle was exported from with --source",
        )
    found = {target.name + WEIGHT: target for target in manifest.state.targets}
    wrong = [
        name
        for name, target in found.items()
        if sorted(shapes.get(name, ())) != sorted((target.out_features, target.in_features))
    ]
    if wrong:
        raise SeedTuneError(
            "a target of the state has no matrix of its size in the base model",
            file=checkpoint.source,
            value=wrong[0],
            rule="the model that the bundle was exported from",
            remedy="name it with --source",
        )
    return checkpoint, found

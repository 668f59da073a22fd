"""What transformers says of rows: its own class and its own attention, one row at a time, nothing filled up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from seedtune.exporter.reference.label_head import seeing_hidden, with_head
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.task.example import Example


def scores(
    folder: Path, name: str, manifest: Manifest, examples: Sequence[Example], state: np.ndarray | None = None
) -> np.ndarray:
    """Log-probabilities over the label words, [E, L].

    Args:
        folder: the checkpoint.
        name: its class in transformers.
        manifest: of the bundle made of it.
        examples: the rows.
        state: of the bundle, merged into the weights or added at suffix tokens, as its scope says; None for none.
    """
    model = getattr(transformers, name).from_pretrained(str(folder), dtype=torch.float32).eval()
    words = list(manifest.language_model.label_word_ids)
    found = []
    with torch.no_grad(), seeing_hidden(model) as hidden:
        merged = state if manifest.language_model.scope == "all" else None
        if merged is not None:
            merge(model, manifest, merged)
        for example in examples:
            row = _logits(model, manifest, example, state, words)[example.position, words]
            if merged is not None and manifest.state.head is not None:
                row = with_head(row, hidden.value[0, example.position], manifest.state.head, torch.from_numpy(merged))
            found.append(row)
    return np.stack([torch.log_softmax(row.float(), dim=-1).numpy() for row in found])


def gradient(folder: Path, name: str, manifest: Manifest, examples: Sequence[Example], state: np.ndarray) -> np.ndarray:
    """Sum over the rows of d loss / d state by autograd, [n]; arguments as of :func:`scores`, scope not "all"."""
    model = getattr(transformers, name).from_pretrained(str(folder), dtype=torch.float32).eval().requires_grad_(False)
    words = list(manifest.language_model.label_word_ids)
    trained = torch.tensor(state, requires_grad=True)
    for example in examples:
        scored = _logits(model, manifest, example, trained, words)[example.position, words].double()
        (-torch.log_softmax(scored, dim=-1)[example.label]).backward()
    assert trained.grad is not None
    return trained.grad.numpy()


def _logits(
    model: torch.nn.Module,
    manifest: Manifest,
    example: Example,
    state: np.ndarray | torch.Tensor | None,
    words: Sequence[int] = (),
) -> torch.Tensor:
    """[T, V]; with ``words`` their logits are those that the head of the state makes."""
    ids = torch.from_numpy(example.ids)[None]
    mask = torch.ones_like(ids)
    family = manifest.language_model.model.family
    if state is not None and example.suffix is not None:
        suffix = torch.zeros(ids.shape, dtype=torch.bool)
        suffix[0, example.suffix] = True
        tuned: torch.Tensor = SuffixTunedModel(model, family, manifest.state, state, words)(ids, mask, suffix)
        return tuned[0]
    options = {"use_cache": False} if family == "causal" else {}
    plain: torch.Tensor = model(input_ids=ids, attention_mask=mask, **options).logits
    return plain[0]


def merge(model: torch.nn.Module, manifest: Manifest, state: np.ndarray) -> None:
    """Adds ``B A`` to the weight of every target, in place."""
    lora_a = lora_a_values(manifest.state)
    for target in manifest.state.targets:
        layer: Any = model.get_submodule(target.name)
        size = target.out_features * target.rank
        b = state[target.offset : target.offset + size].reshape(target.out_features, target.rank)
        change = torch.from_numpy(b @ lora_a[target.lora_a])
        layer.weight.add_(change.T if type(layer).__name__ == "Conv1D" else change)

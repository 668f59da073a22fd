"""The oracle of gradient graphs: PyTorch's autograd through transformers' own model, one row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from seedtune.exporter.graphs.all_graphs import build_graphs
from seedtune.exporter.pipeline import open_source, store_bundle
from seedtune.exporter.reference.check import random_rows
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.exporter.storage.encodings import Encoding, decoded
from seedtune.exporter.trace.reach import Reach
from seedtune.exporter.trace.traced_model import trace_model
from seedtune.runtime.bundle.manifest import StateLayout, Storage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.model.single_call import SingleCalls
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.structure import Scope

RANK = 4


@dataclass(frozen=True)
class Exported:
    """A bundle, the checkpoint that it was made of, how matrices are stored, and what the export said meanwhile."""

    bundle: Bundle
    source: Path
    encodings: dict[str, Encoding]
    notices: list[str]

    @property
    def layout(self) -> StateLayout:
        """Of the state."""
        return self.bundle.manifest.state

    def rows(self, lengths: Sequence[int] = (11, 7, 9, 4)) -> list[Example]:
        """Random rows, split where the bundle splits rows."""
        return random_rows(self.bundle.manifest, lengths)

    def gradient(self, rows: Sequence[Example], state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Losses [B] in the order of ``rows``, and the gradient [n], by the bundle in one call."""
        calls = SingleCalls(self.bundle)
        batch = calls.batch(rows, 10_000)
        losses, gradient = calls.outputs("gradient", ["loss", "gradient"], batch, {"state": state})
        placed = np.empty_like(losses)
        placed[batch.index] = losses
        return placed, gradient

    def model(self) -> torch.nn.Module:
        """transformers' model, float32, each matrix what its stored form stands for."""
        family = self.bundle.manifest.language_model.model.family
        kind = AutoModelForCausalLM if family == "causal" else AutoModelForMaskedLM
        model: torch.nn.Module = kind.from_pretrained(self.source, dtype=torch.float32).eval()
        with torch.no_grad():
            for name, encoding in self.encodings.items():
                matrix = model.get_parameter(name)
                matrix.copy_(torch.from_numpy(decoded(encoding, matrix.detach().clone())))
        return model.requires_grad_(False)

    def autograd(self, rows: Sequence[Example], state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same by autograd."""
        objective = self.bundle.manifest.language_model
        return autograd(self.model(), objective.model.family, self.layout, rows, state, objective.label_word_ids)


def export(
    source: Path,
    out: Path,
    *,
    task: Path | None = None,
    scope: Scope = "suffix",
    layers: int | None = None,
    storages: Sequence[Storage] = ("fp32",),
) -> dict[Storage, Exported]:
    """A bundle of the model folder ``source`` per storage, traced once: contexts in fp32, every linear a target.

    Args:
        source: the model folder.
        out: a folder; the bundles are new folders in it.
        task: its file; None for the one in the model folder.
        scope: of the state.
        layers: likewise.
        storages: of the matrices.
    """
    notices: list[str] = []
    reach = Reach(scope, layers)
    opened = open_source(str(source), str(task or source / "task.toml"), reach, notices.append)
    model = trace_model(opened.checkpoint, opened.task, reach, "fp32", "all", RANK, 7, notices.append)
    made: dict[Storage, Exported] = {}
    for storage in storages:
        built = build_graphs(model, opened.task.label_word_ids, storage, notices.append)
        folder = out / storage
        folder.mkdir()
        store_bundle(folder, opened, model, built, storage)
        made[storage] = Exported(Bundle.open(folder), source, built.encodings, notices)
    return made


def autograd(
    model: torch.nn.Module,
    family: str,
    layout: StateLayout,
    rows: Sequence[Example],
    state: np.ndarray,
    words: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Losses [B], and the gradient [n] of their sum, with ``state`` at the suffix of each row."""
    trained = torch.tensor(state, requires_grad=True)
    tuned = SuffixTunedModel(model, family, layout, trained, words)
    losses = []
    for row in rows:
        ids = torch.from_numpy(row.ids)[None]
        inside = torch.zeros(ids.shape, dtype=torch.bool)
        assert row.suffix is not None
        inside[0, row.suffix] = True
        logits = tuned(ids, torch.ones_like(ids), inside)[0].double()
        if words:
            loss = -torch.log_softmax(logits[row.position, list(words)], dim=-1)[row.label]
        else:
            assert row.targets is not None
            scored = torch.log_softmax(logits[torch.from_numpy(row.suffix)], dim=-1)
            loss = -scored[torch.arange(len(row.suffix)), torch.from_numpy(row.targets)].mean()
        loss.backward()
        losses.append(loss.item())
    assert trained.grad is not None
    return np.array(losses), trained.grad.numpy()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Distance over length, in the 2-norm."""
    return float(np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected))

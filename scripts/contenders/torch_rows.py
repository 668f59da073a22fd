"""transformers' own model as a function from the rows of a measurement to their loss, for PyTorch contenders."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.trace.trunk import LabelScores
from seedtune.runtime.graphs.session import default_threads


def load(options: dict[str, Any]) -> tuple[torch.nn.Module, Callable[[], torch.Tensor]]:
    """The model in float32, and a function that returns the mean loss of the rows.

    To a contender's advantage its head reads the label position only, as SeedTune's does, and its attention is
    torch's fused one. Options: source, rows (npz), threads.
    """
    torch.set_num_threads(options["threads"] or default_threads())
    checkpoint = open_checkpoint(options["source"])
    model = checkpoint.reference("sdpa").eval()
    scored = LabelScores(model, checkpoint.family)
    # What loading needed is not held against the steps.
    gc.collect()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    rows = {name: torch.from_numpy(array) for name, array in np.load(options["rows"]).items()}

    def loss() -> torch.Tensor:
        logits, _ = scored(rows["ids"], rows["mask"], rows["position"])
        return torch.nn.functional.cross_entropy(logits[:, rows["words"]], rows["label"])

    return model, loss

"""A LoRA step in PyTorch (Hu et al. 2021, arXiv 2106.09685): forward, backward, AdamW on A and B of the same targets.

Written out, because peft would add a package for the same arithmetic: ``y = W x + B A x`` on each target.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from contenders.torch_rows import load
from seedtune.runtime.bundle.reader import Bundle

LEARNING_RATE = 1e-4


def prepare(options: dict[str, Any]) -> Callable[[], None]:
    """Options: bundle (whose targets and rank it takes), and those of `torch_rows.py`."""
    manifest = Bundle.open(Path(options["bundle"]), verify_weights=False).manifest
    model, loss = load(options)
    model.requires_grad_(False)
    trained: list[torch.nn.Parameter] = []
    for target in manifest.state.targets:
        a = torch.nn.Parameter(torch.randn(target.rank, target.in_features) / target.in_features**0.5)
        b = torch.nn.Parameter(torch.zeros(target.out_features, target.rank))
        trained += [a, b]
        model.get_submodule(target.name).register_forward_hook(
            lambda _layer, inputs, output, a=a, b=b: output + inputs[0] @ a.T @ b.T
        )
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step

"""LoRA (Hu et al. 2021) in plain PyTorch: W x becomes W x + B A x, B zero at the start."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


class LowRank(torch.nn.Module):
    """A frozen linear layer and its low-rank term.

    Args:
        linear: of any module tree; its parameters need no gradient.
        rank: of the term.
        generator: of the values of A.
        fixed_a: A is not trained (LoRA-FA, Zhang et al. 2023), as in a bundle's state.

    Attributes:
        a: [rank, in], normal with variance 1 / in.
        b: [out, rank].
    """

    def __init__(self, linear: torch.nn.Linear, rank: int, generator: torch.Generator, *, fixed_a: bool) -> None:
        super().__init__()
        self.linear = linear
        values = torch.randn(rank, linear.in_features, generator=generator) / math.sqrt(linear.in_features)
        self.a = torch.nn.Parameter(values, requires_grad=not fixed_a)
        self.b = torch.nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out]."""
        return self.linear(inputs) + inputs @ self.a.T @ self.b.T


def attach(
    layers: Iterable[torch.nn.Module], rank: int, seed: int, *, fixed_a: bool = False
) -> list[torch.nn.Parameter]:
    """Gives every linear layer in ``layers`` a low-rank term, in place; returns what is to be trained."""
    generator = torch.Generator().manual_seed(seed)
    trained = []
    for layer in layers:
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, torch.nn.Linear) and not isinstance(parent, LowRank):
                    term = LowRank(child, rank, generator, fixed_a=fixed_a)
                    setattr(parent, name, term)
                    trained += [parameter for parameter in (term.a, term.b) if parameter.requires_grad]
    return trained


def detach(layers: Iterable[torch.nn.Module]) -> None:
    """Takes every low-rank term away again."""
    for layer in layers:
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, LowRank):
                    setattr(parent, name, child.linear)

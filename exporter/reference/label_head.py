"""The head of a state (`passes/label_head.py`) on transformers' own model: its definition, word for word."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from seedtune.exporter.trace.trunk import head_of
from seedtune.runtime.bundle.manifest import Head


class SeenHidden:
    """What the language-model head of a model read last: ``value`` [B, T, H] float32."""

    value: torch.Tensor


@contextlib.contextmanager
def seeing_hidden(model: torch.nn.Module) -> Iterator[SeenHidden]:
    """Keeps what the language-model head of ``model`` reads while the context lasts."""
    seen = SeenHidden()

    def keep(_head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.value = inputs[0].float()

    hook = head_of(model).register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


def with_head(scores: torch.Tensor, hidden: torch.Tensor, head: Head, state: torch.Tensor) -> torch.Tensor:
    """``(1 + s) lm + W u + b`` with u = h / ||h||, [..., L].

    Args:
        scores: lm, those of the label words, [..., L].
        hidden: h, what the language-model head reads, [..., H].
        head: where W, b and s lie in the state.
        state: [n] float32.
    """
    values = state[head.offset : head.offset + head.parameters]
    weight, bias, scale = torch.split(values, [head.labels * head.features, head.labels, 1])
    unit = hidden / hidden.norm(dim=-1, keepdim=True)
    found: torch.Tensor = (1 + scale) * scores + unit @ weight.reshape(head.labels, head.features).T + bias
    return found

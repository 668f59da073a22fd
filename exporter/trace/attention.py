"""Attention over a cached context and the row's own tokens: what tracing puts in place of a model's own attention.

transformers lets a model's attention be exchanged by name (``AttentionInterface``), for every architecture at once
and after its own projections and rotary positions. The exchange here

 - attends to keys and values that come from outside (the context) besides those of the tokens at hand (the suffix),
   without joining the two: a context is shared by all tokens of a row, both sides of a perturbation included;
 - keeps the query heads that share a key head together, as rows of one product (no key is repeated);
 - hands out the keys and values it was given, which is how a context is made in the first place.

Two sums are taken in one softmax, so the result is that of plain attention over context and suffix together::

    softmax([q Kp^T s + mp, q Ks^T s + ms]) [Vp; Vs]        s = the model's scaling, m = 0 or a large negative number
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface

NAME = "seedtune_cached_context"


@dataclass
class Context:
    """What one forward pass attends to, and what it leaves behind.

    Attributes:
        keys: of the context, [layers, B, key heads, P, head size], from ``first_layer`` on; others have no context.
        values: likewise.
        context_mask: added to the scores, [B, P].
        self_mask: added to the scores among the tokens at hand, [B, S, S].
        first_layer: the first one that attends to the context.
        new_keys: of the tokens at hand, one [B, key heads, S, head size] a layer, in the order of the layers.
        new_values: likewise.
        window: the fewest tokens that a layer with a sliding window reaches back to; None if all see everything.
    """

    keys: torch.Tensor
    values: torch.Tensor
    context_mask: torch.Tensor
    self_mask: torch.Tensor
    first_layer: int = 0
    new_keys: list[torch.Tensor] = field(default_factory=list)
    new_values: list[torch.Tensor] = field(default_factory=list)
    window: int | None = None


class UnsupportedAttention(Exception):  # noqa: N818 - it is a finding about a model, which the caller turns into advice
    """The model's attention cannot be split into a cached context and the rest; says why."""


_current: list[Context] = []


@contextlib.contextmanager
def attending_to(model: torch.nn.Module, context: Context) -> Iterator[None]:
    """While it lasts, every attention layer of ``model`` attends to ``context`` as well."""
    configs: dict[int, Any] = {
        id(module.config): module.config for module in model.modules() if hasattr(module, "config")
    }
    before = {key: config._attn_implementation for key, config in configs.items()}
    for config in configs.values():
        config._attn_implementation = NAME
    _current.append(context)
    try:
        yield
    finally:
        _current.pop()
        for key, config in configs.items():
            config._attn_implementation = before[key]


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface.

    Args:
        module: the layer.
        query: [B, heads, S, d].
        key: [B, key heads, S, d].
        value: likewise.
        attention_mask: not used; see :class:`Context`.
        scaling: of the scores; None for one over the root of d.
        dropout: not used; the model is in eval mode.
        softcap: scores are squashed to this range if given.
        options: what else the layer hands over.

    Returns:
        [B, S, heads, d], and no weights.

    Raises:
        UnsupportedAttention: the layer asks for something that is not computed here.
    """
    if attention_mask is not None:
        raise UnsupportedAttention("its attention has a mask of its own")
    if options.get("s_aux") is not None:
        raise UnsupportedAttention("its attention has sinks")
    if options.get("position_bias") is not None or options.get("alibi") is not None:
        raise UnsupportedAttention("its attention adds a bias by position")
    context = _current[-1]
    window = options.get("sliding_window")
    if isinstance(window, int):
        context.window = window if context.window is None else min(window, context.window)
    layer = len(context.new_keys) - context.first_layer
    context.new_keys.append(key)
    context.new_values.append(value)
    batch, heads, tokens, size = query.shape
    key_heads = key.shape[1]
    group = heads // key_heads
    scale = size**-0.5 if scaling is None else scaling
    rows = (query * scale).reshape(batch, key_heads, group * tokens, size)
    to_self = _capped(torch.matmul(rows, key.transpose(2, 3)), softcap)
    to_self = to_self.reshape(batch, key_heads, group, tokens, tokens) + context.self_mask[:, None, None]
    to_self = to_self.reshape(batch, key_heads, group * tokens, tokens)
    if 0 <= layer < context.keys.shape[0]:
        to_context = _capped(torch.matmul(rows, context.keys[layer].transpose(2, 3)), softcap)
        to_context = to_context + context.context_mask[:, None, None, :]
        weights = torch.softmax(torch.cat([to_context, to_self], dim=-1), dim=-1)
        length = context.keys.shape[3]
        mixed = torch.matmul(weights[..., :length], context.values[layer]) + torch.matmul(weights[..., length:], value)
    else:
        mixed = torch.matmul(torch.softmax(to_self, dim=-1), value)
    return mixed.reshape(batch, heads, tokens, size).transpose(1, 2).contiguous(), None


def _capped(scores: torch.Tensor, softcap: float | None) -> torch.Tensor:
    return scores if softcap is None else torch.tanh(scores / softcap) * softcap


AttentionInterface.register(NAME, attend)

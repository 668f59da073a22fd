"""A state of scope "suffix" on transformers' own model: what a merged checkpoint cannot be.

Weights ``W + B A`` would act at every token. A state of scope "suffix" acts at the suffix of a row only, so it cannot
be merged into them. This module wraps a model instead. It needs no cache, and computes the row as one:

 1. The untouched model reads the whole row; the inputs of its linear layers at context tokens are remembered.
 2. It reads the row again with ``B A x`` added to its targets at suffix tokens. Context tokens are given the remembered
    inputs, so that what they offer to attention is what the untouched model offers.

For a causal model the first pass is left out: there a context token cannot see the suffix anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seedtune.exporter.reference.label_head import seeing_hidden, with_head
from seedtune.exporter.trace.trunk import head_of
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout

Hook = Callable[..., Any]


class SuffixTunedModel(torch.nn.Module):
    """``model`` with ``state`` at the suffix of each row.

    Args:
        model: transformers' model that was exported.
        family: "causal" or "masked".
        layout: of the state, from the bundle's manifest.
        state: [n] float32, such as ``open_tuned(run).state.values``; a tensor may ask for its gradient.
        words: the token ids of the label words, whose logits the head of the state changes; none leaves it out.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        family: str,
        layout: StateLayout,
        state: npt.NDArray[np.float32] | torch.Tensor,
        words: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self._head = layout.head if words else None
        self._words = list(words)
        self.model = model
        self.family = family
        lora_a = lora_a_values(layout)
        whole = state if isinstance(state, torch.Tensor) else torch.tensor(state)
        self._state = whole
        self._low_rank: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for target in layout.targets:
            size = target.out_features * target.rank
            b = whole[target.offset : target.offset + size].reshape(target.out_features, target.rank)
            self._low_rank[target.name] = (torch.from_numpy(lora_a[target.lora_a]), b)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, suffix_mask: torch.Tensor) -> torch.Tensor:
        """Logits [B, T, V] of rows padded on the right.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 = token.
            suffix_mask: [B, T] bool, where the state acts.
        """
        suffix = suffix_mask.bool()
        remembered: list[torch.Tensor] = []
        if self.family == "masked":
            self._run(input_ids, attention_mask, self._linear_hooks(lambda x: remembered.append(x.clone())))

        def restore(x: torch.Tensor) -> torch.Tensor:
            return torch.where(suffix.reshape(*x.shape[:-1], 1), x, remembered.pop(0))

        hooks = self._linear_hooks(restore) if self.family == "masked" else []
        with seeing_hidden(self.model) as hidden:
            logits: torch.Tensor = self._run(input_ids, attention_mask, hooks + self._target_hooks(suffix))
        if self._head is not None:
            of_words = logits[..., self._words].float()
            logits = logits.clone()
            logits[..., self._words] = with_head(of_words, hidden.value, self._head, self._state).to(logits.dtype)
        return logits

    def _run(self, ids: torch.Tensor, mask: torch.Tensor, hooks: list[torch.utils.hooks.RemovableHandle]) -> Any:
        # Some models cannot make a cache for all of their layers.
        options = {"use_cache": False} if self.family == "causal" else {}
        try:
            return self.model(input_ids=ids, attention_mask=mask, **options).logits
        finally:
            for hook in hooks:
                hook.remove()

    def _linear_hooks(self, change: Hook) -> list[torch.utils.hooks.RemovableHandle]:
        """Calls ``change`` on the input of every linear layer outside the head, in the order they run."""

        def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
            changed = change(inputs[0])
            return None if changed is None else (changed, *inputs[1:])

        inside_head = {id(module) for module in head_of(self.model).modules()}
        return [
            module.register_forward_pre_hook(hook)
            for module in self.model.modules()
            if isinstance(module, torch.nn.Linear) and id(module) not in inside_head
        ]

    def _target_hooks(self, suffix: torch.Tensor) -> list[torch.utils.hooks.RemovableHandle]:
        def hook_of(a: torch.Tensor, b: torch.Tensor) -> Hook:
            def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
                # Some models flatten rows and tokens before a layer.
                where = suffix.reshape(*inputs[0].shape[:-1], 1)
                return output + where * (inputs[0] @ a.T @ b.T)

            return hook

        return [
            self.model.get_submodule(name).register_forward_hook(hook_of(a, b))
            for name, (a, b) in self._low_rank.items()
        ]

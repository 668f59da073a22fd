"""The definition of scope "suffix" in plain, slow PyTorch: one row at a time, no graph, nothing of the exporter.

A token of the suffix runs through weights ``W + B A`` and attends to the keys and values that the *untouched* model
computed for the tokens of the context.

 1. causal: the untouched model fills transformers' own cache with the context; the merged model goes on from there,
    token by token.
 2. masked: the untouched model reads the row, and what its key and value layers return is remembered; the merged model
    reads the row with these at the places of the context. What else it computes at those places reaches nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from export_lab import Export, merged
from suffix_rows_lab import SplitRow
from transformers import DynamicCache

KEY_AND_VALUE = frozenset({"key", "value", "k_lin", "v_lin"})


def plain_scores(export: Export, rows: Sequence[SplitRow]) -> np.ndarray:
    """Log-probabilities of the label words by the untouched model, [B, L]."""
    with torch.no_grad():
        return _over_words(export, [export.model(input_ids=_ids(row)).logits[0, row.position] for row in rows])


def suffix_scores(export: Export, rows: Sequence[SplitRow], state: np.ndarray) -> np.ndarray:
    """Log-probabilities of the label words with ``state`` at the suffix of each row, [B, L]."""
    score = _causal_row if export.family == "causal" else _masked_row
    with torch.no_grad():
        return _over_words(export, [score(export, row, state) for row in rows])


def suffix_losses(export: Export, rows: Sequence[SplitRow], state: np.ndarray) -> np.ndarray:
    """Cross-entropy over the label words, [B]."""
    scores = suffix_scores(export, rows, state)
    return -scores[np.arange(len(rows)), [row.label for row in rows]]


def _ids(row: SplitRow) -> torch.Tensor:
    return torch.from_numpy(row.ids[None])


def _over_words(export: Export, logits: Sequence[torch.Tensor]) -> np.ndarray:
    return torch.log_softmax(torch.stack(list(logits))[:, list(export.words)].float(), dim=-1).numpy()


def _causal_row(export: Export, row: SplitRow, state: np.ndarray) -> torch.Tensor:
    """Case 1: logits at the scored token, [V]."""
    model, ids, first = export.model, _ids(row), int(row.suffix[0])
    assert list(row.suffix) == list(range(first, len(row.ids)))
    cache = DynamicCache(config=model.config)
    if first:
        model(input_ids=ids[:, :first], past_key_values=cache, use_cache=True)
    with merged(model, export.layout, state):
        for place in range(first, row.position + 1):
            logits = model(input_ids=ids[:, place : place + 1], past_key_values=cache, use_cache=True).logits
    return logits[0, -1]


def _masked_row(export: Export, row: SplitRow, state: np.ndarray) -> torch.Tensor:
    """Case 2: logits at the scored token, [V]."""
    model = export.model
    in_suffix = torch.zeros(1, len(row.ids), 1, dtype=torch.bool)
    in_suffix[0, row.suffix] = True
    remembered: list[torch.Tensor] = []
    _with_hooks(model, _ids(row), lambda output: remembered.append(output.clone()))
    assert len(remembered) == 2 * model.config.num_hidden_layers
    with merged(model, export.layout, state):
        logits = _with_hooks(model, _ids(row), lambda output: torch.where(in_suffix, output, remembered.pop(0)))
    assert not remembered
    return logits[0, row.position]


def _with_hooks(
    model: torch.nn.Module, ids: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor | None]
) -> torch.Tensor:
    """Logits with ``change`` applied to what every key and value layer returns, in the order they run."""
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: change(output))
        for name, module in model.named_modules()
        if name.split(".")[-1] in KEY_AND_VALUE
    ]
    try:
        return model(input_ids=ids).logits
    finally:
        for hook in hooks:
            hook.remove()

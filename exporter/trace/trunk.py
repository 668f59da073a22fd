"""torch.export of a language model that scores one position of each row, as an ``onnx_ir`` model.

The model is traced as it is: a forward pre-hook on its language-model head narrows the hidden states to the label
position, so that whatever an architecture does after the head (scaling, soft-capping) stays in the graph. The trace
never reads a parameter: the skeleton's parameters are uninitialised, and leave here by name and shape only.

Inputs   ids [B, T] int64, mask [B, T] int64 (1 = token, 0 = padding on the right), position [B] int64
Outputs  logits [B, V] float32, hidden [B, H] float32 (what the head reads at the label position)
"""

from __future__ import annotations

from types import SimpleNamespace

import onnx_ir as ir
import torch

from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.simplify import simplify
from seedtune.exporter.trace.own_copy import own_copy
from seedtune.exporter.trace.tracing import DYNAMIC, describe_inputs, export_graph, last_dimension
from seedtune.runtime.errors import SeedTuneError

EXAMPLE_ROWS, EXAMPLE_TOKENS = 3, 11


class LabelScores(torch.nn.Module):
    """``model``, whose head it hooks, as a function of (ids, mask, position); shapes as in the module docstring."""

    def __init__(self, model: torch.nn.Module, family: str) -> None:
        super().__init__()
        self.model = model
        self.options = {"use_cache": False} if family == "causal" else {}
        self.seen = SimpleNamespace(position=None, hidden=None)
        head_of(model).register_forward_pre_hook(self._narrow)

    def _narrow(self, _head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = inputs[0]
        index = self.seen.position[:, None, None].expand(-1, 1, hidden.shape[-1])
        narrowed = torch.gather(hidden, 1, index)
        self.seen.hidden = narrowed[:, 0]
        return (narrowed, *inputs[1:])

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, position: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """ids, mask [B, T]; position [B] -> logits [B, V], hidden [B, H]."""
        self.seen.position = position
        logits = self.model(input_ids=ids, attention_mask=mask, return_dict=True, **self.options).logits
        return logits[:, 0], self.seen.hidden


def head_of(model: torch.nn.Module) -> torch.nn.Module:
    """The direct child of ``model`` that turns hidden states into vocabulary logits.

    Raises:
        SeedTuneError: the model does not say where its output embeddings are.
    """
    find = getattr(model, "get_output_embeddings", None)
    output = find() if callable(find) else None
    for name, module in model.named_modules():
        if output is not None and module is output:
            return model.get_submodule(name.split(".")[0])
    raise SeedTuneError(
        "this architecture has no language-model head that can be found",
        value=type(model).__name__,
        rule="get_output_embeddings() names the head of a causal or masked language model",
        remedy="export a ...ForCausalLM or ...ForMaskedLM checkpoint",
    )


def trace(model: torch.nn.Module, family: str, longest_tokens: int = EXAMPLE_TOKENS) -> ir.Model:
    """``model`` (float32, eval) as ONNX, simplified, with every parameter named as in ``model.state_dict()``.

    Args:
        model: a transformers model; its parameters are not read.
        family: "causal" or "masked".
        longest_tokens: that a row may have.

    Raises:
        SeedTuneError: as `tracing.export_graph`.
    """
    wrapper = LabelScores(own_copy(model), family)
    example = (
        torch.arange(EXAMPLE_ROWS * EXAMPLE_TOKENS).reshape(EXAMPLE_ROWS, EXAMPLE_TOKENS) % 50 + 5,
        torch.ones(EXAMPLE_ROWS, EXAMPLE_TOKENS, dtype=torch.long),
        torch.full((EXAMPLE_ROWS,), EXAMPLE_TOKENS - 1),
    )
    grid = {0: DYNAMIC, 1: DYNAMIC}
    names = ("ids", "mask", "position")
    shapes = (grid, grid, {0: DYNAMIC})
    traced = export_graph(wrapper, example, shapes, names, ("logits", "hidden"), longest_tokens)
    graph = traced.graph
    integers = ir.DataType.INT64
    describe_inputs(
        graph,
        {
            "ids": (integers, ["batch", "tokens"]),
            "mask": (integers, ["batch", "tokens"]),
            "position": (integers, ["batch"]),
        },
    )
    logits, hidden = graph.outputs
    set_outputs(
        graph,
        {
            "logits": (logits, ir.DataType.FLOAT, ["batch", last_dimension(logits, "vocabulary")]),
            "hidden": (hidden, ir.DataType.FLOAT, ["batch", last_dimension(hidden, "hidden")]),
        },
    )
    return simplify(traced)

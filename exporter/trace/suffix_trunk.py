"""torch.export of a language model that reads the last tokens of a row and finds the others in a cache.

One trace serves three graphs: with a cache as input it is what a probe and an evaluation run; without one, its own
keys and values are what the cache is made of. Where the state acts in the upper layers only, the cache is theirs alone,
and the hidden states that enter the first of them are an output, at which `passes/first_layer.py` cuts the graph.

Inputs   ids, positions [B, S] int64 (S tokens of each row and their places in it), position [B, K] int64 (which of the
         S are scored), context_mask [B, P] and self_mask [B, S, S] float32 (added to attention scores), keys, values
         [layers, B, key heads, P, head size] float32
Outputs  logits [B, K, V], hidden [B, K, H] float32; new_keys, new_values [layers, B, key heads, S, head size] float32;
         entering [B, S, H] float32 where the first layer with a cache is not the model's first
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import onnx_ir as ir
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PretrainedConfig

from seedtune.exporter.checkpoint.limits import position_offset
from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.simplify import simplify
from seedtune.exporter.trace.attention import Context, UnsupportedAttention, attending_to
from seedtune.exporter.trace.own_copy import own_copy
from seedtune.exporter.trace.tracing import DYNAMIC, HOLDS_TO, describe_inputs, export_graph, last_dimension
from seedtune.exporter.trace.trunk import head_of

# All different, so that torch.export cannot take two of them for one.
BATCH, SUFFIX, CONTEXT, SCORED = 3, 7, 5, 2
INPUTS = ("ids", "positions", "position", "context_mask", "self_mask", "keys", "values")


@dataclass(frozen=True)
class SuffixTrunk:
    """The traced model and the shape of its cache: ``layers`` x ``key_heads`` x tokens x ``head_size``.

    ``entering`` is the width H of the hidden states that enter the first layer with a cache; 0 for the model's first.
    ``longest_tokens`` is how long a row may be for the trace to hold; None for any length.
    """

    model: ir.Model
    layers: int
    key_heads: int
    head_size: int
    entering: int = 0
    longest_tokens: int | None = None


class SuffixScores(torch.nn.Module):
    """``model``, which it hooks, as a function of `INPUTS`; see the module docstring for shapes."""

    def __init__(self, model: torch.nn.Module, family: str, first_layer: int = 0) -> None:
        super().__init__()
        self.model = model
        self.first_layer = first_layer
        self.options = {"use_cache": False} if family == "causal" else {}
        config = model.config
        assert isinstance(config, PretrainedConfig)
        self.config = config.get_text_config()
        self.offset = position_offset(self.config)
        self.seen = SimpleNamespace(position=None, hidden=None, window=None, entering=None)
        if first_layer:
            layer = layers_of(model, self.config.num_hidden_layers)[first_layer]
            layer.register_forward_pre_hook(self._enter, with_kwargs=True)
        head_of(model).register_forward_pre_hook(self._narrow)

    def _narrow(self, _head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = inputs[0]
        index = self.seen.position[:, :, None].expand(-1, -1, hidden.shape[-1])
        self.seen.hidden = torch.gather(hidden, 1, index)
        return (self.seen.hidden, *inputs[1:])

    def _enter(self, _layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> None:
        self.seen.entering = inputs[0] if inputs else named["hidden_states"]

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        position: torch.Tensor,
        context_mask: torch.Tensor,
        self_mask: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """The outputs; see the module docstring."""
        self.seen.position = position
        context = Context(keys, values, context_mask, self_mask, self.first_layer)
        with attending_to(self.model, context):
            logits = self.model(
                input_ids=ids, position_ids=positions + self.offset, return_dict=True, **self.options
            ).logits
        if not context.new_keys:
            raise UnsupportedAttention("transformers does not let its attention be exchanged")
        if getattr(self.config, "token_dropout", False):
            raise UnsupportedAttention("its embeddings depend on how much of the whole row is masked")
        layers = self.config.num_hidden_layers
        if len(context.new_keys) != layers or any(isinstance(part, torch.nn.Conv1d) for part in self.model.modules()):
            raise UnsupportedAttention("its tokens reach each other by other ways than attention")
        new_keys, new_values = (made[self.first_layer :] for made in (context.new_keys, context.new_values))
        if len({(key.shape[1], key.shape[3]) for key in (*new_keys, *new_values)}) > 1:
            raise UnsupportedAttention("its keys and values do not have one shape in all layers")
        self.seen.window = context.window
        entering = (self.seen.entering,) if self.first_layer else ()
        return logits, self.seen.hidden, torch.stack(new_keys), torch.stack(new_values), *entering


def layers_of(model: torch.nn.Module, count: int) -> torch.nn.ModuleList:
    """The ``count`` layers of ``model``, in order.

    Raises:
        UnsupportedAttention: they do not stand in one list, each once.
    """
    lists = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == count]
    if len(lists) != 1:
        raise UnsupportedAttention("its layers do not stand in one list, each once")
    return lists[0]


def trace_suffix(model: torch.nn.Module, family: str, longest_tokens: int, first_layer: int = 0) -> SuffixTrunk:
    """``model`` (float32, eval) as ONNX, simplified, parameters named as in ``model.state_dict()`` and never read.

    Args:
        model: a transformers model; its parameters are not read.
        family: "causal" or "masked".
        longest_tokens: tokens that a row may have.
        first_layer: the first layer with state.

    Raises:
        UnsupportedAttention: the attention of this model cannot be split, or reaches back less than a row.
        SeedTuneError: as `tracing.export_graph`.
    """
    grid = {0: DYNAMIC, 1: DYNAMIC}
    cache = {1: DYNAMIC, 3: DYNAMIC}
    shape, width, window = _cache_shape(SuffixScores(own_copy(model), family, first_layer))
    if window is not None and window < longest_tokens:
        raise UnsupportedAttention(
            f"its attention reaches back {window} tokens, and rows of this task have up to {longest_tokens}"
        )
    traced = export_graph(
        SuffixScores(own_copy(model), family, first_layer),
        _example(shape),
        (grid, grid, grid, grid, grid | {2: DYNAMIC}, cache, cache),
        INPUTS,
        ("logits", "hidden", "new_keys", "new_values", *(("entering",) if width else ())),
        longest_tokens,
    )
    limits = [limit for limit in (window, traced.meta.get(HOLDS_TO)) if limit is not None]
    return SuffixTrunk(_described(traced, shape, width), *shape, width, min(limits, default=None))


def _example(shape: tuple[int, int, int] | None) -> tuple[torch.Tensor, ...]:
    ids = torch.arange(BATCH * SUFFIX).reshape(BATCH, SUFFIX) % 50 + 5
    positions = torch.arange(CONTEXT, CONTEXT + SUFFIX).expand(BATCH, -1).contiguous()
    position = torch.tensor([[SUFFIX - 2, SUFFIX - 1]] * BATCH)
    masks = torch.zeros(BATCH, CONTEXT), torch.zeros(BATCH, SUFFIX, SUFFIX)
    layers, heads, size = shape or (0, 0, 0)
    cache = torch.zeros(2, layers, BATCH, heads, CONTEXT, size)
    return (ids, positions, position, *masks, cache[0].clone(), cache[1].clone())


def _cache_shape(wrapper: SuffixScores) -> tuple[tuple[int, int, int], int, int | None]:
    """(Layers, key heads, head size), the width of what enters, and the window, from a pass that computes no values."""
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            _, _, keys, _, *entering = wrapper(*_example(None))
    except UnsupportedAttention:
        raise
    except Exception as error:
        # Typically a model that computes with the mask it was not given.
        raise UnsupportedAttention(f"its forward pass stops with {type(error).__name__} when it is") from error
    layers, _, heads, _, size = keys.shape
    width = sum(int(hidden.shape[-1]) for hidden in entering)
    return (int(layers), int(heads), int(size)), width, wrapper.seen.window


def _described(traced: ir.Model, shape: tuple[int, int, int], width: int) -> ir.Model:
    graph = traced.graph
    layers, heads, size = shape
    cache: list[int | str] = [layers, "batch", heads, "context", size]
    new: list[int | str] = [layers, "batch", heads, "tokens", size]
    integers, floats = ir.DataType.INT64, ir.DataType.FLOAT
    describe_inputs(
        graph,
        {
            "ids": (integers, ["batch", "tokens"]),
            "positions": (integers, ["batch", "tokens"]),
            "position": (integers, ["batch", "scored"]),
            "context_mask": (floats, ["batch", "context"]),
            "self_mask": (floats, ["batch", "tokens", "tokens"]),
            "keys": (floats, cache),
            "values": (floats, cache),
        },
    )
    logits, hidden, new_keys, new_values, *entering = graph.outputs
    of_entering: list[int | str] = ["batch", "tokens", width]
    set_outputs(
        graph,
        {
            "logits": (logits, floats, ["batch", "scored", last_dimension(logits, "vocabulary")]),
            "hidden": (hidden, floats, ["batch", "scored", last_dimension(hidden, "hidden")]),
            "new_keys": (new_keys, floats, new),
            "new_values": (new_values, floats, new),
            **({"entering": (entering[0], floats, of_entering)} if entering else {}),
        },
    )
    return simplify(traced)

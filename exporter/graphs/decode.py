"""The decode graph: the next token's logits behind a cache, and the keys and values of the tokens that were read.

Inputs   ids, mask, positions [B, S] int64; position [B] int64 (which of the S is scored); context_length [B] int64;
         keys, values [layers, B, key heads, P, head size] float32 (all layers); state [n] float32
Outputs  logits [B, V] float32 of the token that follows ``position``; new_keys, new_values [layers, B, key heads, S,
         head size] float32

The state acts at every token of a call, so whoever calls says where it acts by feeding it or zeros. The head of the
state, which scores label words, has no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from seedtune.exporter.passes.completion_loss import places, scores_of
from seedtune.exporter.passes.emitter import Emitter, add_input, set_outputs, zero_at_run_time
from seedtune.exporter.passes.head import find_head
from seedtune.exporter.passes.linear_layout import Linear, normalise_linears
from seedtune.exporter.passes.low_rank_target import attach_targets
from seedtune.exporter.passes.suffix_rows import present_suffix
from seedtune.exporter.trace.decoder import TracedDecoder
from seedtune.runtime.bundle.manifest import StateLayout, Storage

# Words of the vocabulary whose rows are widened at a time, where they are not stored as float32.
CHUNK = 8192


def build_decode(decoder: TracedDecoder, layout: StateLayout, storage: Storage) -> ir.Model:
    """The decode graph over a clone of the decoder.

    Args:
        decoder: as traced.
        layout: of the state.
        storage: how matrices are stored; a vocabulary that has to be widened is read in parts.

    Raises:
        SeedTuneError: what the model does to its logits cannot be computed in parts, and they would have to be.
    """
    model = decoder.model.clone()
    graph = model.graph
    state = add_input(graph, "state", ir.DataType.FLOAT, [layout.parameters])
    present_suffix(graph, "causal", 1)
    linears = normalise_linears(graph)
    attach_targets(graph, linears, layout.targets, state, None)
    found = {value.name: value for value in graph.outputs}
    logits, vocabulary = found["logits"], _vocabulary(found["logits"])
    emit = Emitter(graph)
    flat = emit.integers(-1, vocabulary)
    if storage == "fp32":
        logits.name = None
        scores = emit.op("Reshape", logits, flat)
    else:
        scores = emit.op("Reshape", _in_parts(emit, graph, linears, vocabulary), flat)
    emit.append()
    sizes = decoder.layout
    shape: list[int | str] = [sizes.layers, "batch", sizes.key_heads, "tokens", sizes.head_size]
    set_outputs(
        graph,
        {
            "logits": (scores, ir.DataType.FLOAT, ["batch", vocabulary]),
            **{name: (found[name], ir.DataType.FLOAT, shape) for name in ("new_keys", "new_values")},
        },
    )
    graph.name = "decode"
    return model


def _in_parts(emit: Emitter, graph: ir.Graph, linears: Sequence[Linear], vocabulary: int) -> ir.Value:
    """The logits from parts of the vocabulary's rows, so that never more than a part of them is float32."""
    head = find_head(graph, linears)
    rows = head.gemm.inputs[0]
    assert rows is not None
    parts: list[ir.Value] = []
    for start in range(0, vocabulary, CHUNK):
        # Tied to the part before: ONNX Runtime would otherwise be free to take all parts of the weight at once.
        zero = zero_at_run_time(emit, parts[-1] if parts else rows)
        words = emit.op("Add", zero, places(emit, start, min(CHUNK, vocabulary - start)))
        parts.append(scores_of(emit, head, rows, words))
    return emit.op("Concat", *parts, axis=1)


def _vocabulary(logits: ir.Value) -> int:
    size = logits.shape[-1] if logits.shape is not None else None
    assert isinstance(size, int)
    return size

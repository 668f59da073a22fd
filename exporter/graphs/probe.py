"""The probe graph: per-example losses at state + epsilon*Z and state - epsilon*Z, in one read of the weights.

Inputs   ids, mask [B, T] int64; position, label [B] int64; state [n] float32; seed [1] int64; epsilon [1] float32
         scope "suffix" also: positions [B, T] int64 (the T tokens are the suffix), context_length [B] int64, keys,
         values [layers, B, key heads, P, head size] as stored, int8 with key_scales, value_scales [..., P, 1] float16
         completion tasks: target [B, T] int64 in place of position and label
Outputs  loss_plus, loss_minus [B] float32; of a classification task also log_probabilities_plus,
         log_probabilities_minus [B, L] float32, over the label words
"""

from __future__ import annotations

import onnx_ir as ir

from seedtune.exporter.graphs.scope import two_sides
from seedtune.exporter.graphs.scoring import SCORES, Described, score
from seedtune.exporter.passes.emitter import Emitter, add_input, set_outputs
from seedtune.exporter.passes.label_head import HeadPerturbation
from seedtune.exporter.passes.linear_layout import normalise_linears
from seedtune.exporter.passes.low_rank_target import Perturbation, attach_targets
from seedtune.exporter.passes.noise import noise_halves, sign_table, signs_of
from seedtune.exporter.trace.traced import Traced
from seedtune.runtime.bundle.manifest import Head, StateLayout, Target


def build_probe(traced: Traced, layout: StateLayout, words: tuple[int, ...]) -> ir.Model:
    """The probe graph over a clone of the trunk; ``words`` are the token ids of the label words, [L], or none."""
    model = traced.model.clone()
    graph = model.graph
    state = add_input(graph, "state", ir.DataType.FLOAT, [layout.parameters])
    seed = add_input(graph, "seed", ir.DataType.INT64, [1])
    epsilon = add_input(graph, "epsilon", ir.DataType.FLOAT, [1])

    linears = normalise_linears(graph)
    signs = two_sides(graph, traced, epsilon, every_token=not words)
    emit = Emitter(graph)
    word = emit.op("Cast", seed, to=ir.DataType.UINT32)
    noise = emit.op("Squeeze", noise_halves(emit, word, layout.parameters), emit.integers(0))
    table = sign_table(emit)
    emit.prepend()

    def noise_of(inner: Emitter, target: Target) -> ir.Value:
        return signs_of(inner, noise, table, target.offset, (target.out_features, target.rank))

    attach_targets(graph, linears, layout.targets, state, Perturbation(signs, noise_of))

    def noise_of_head(inner: Emitter, head: Head) -> ir.Value:
        return signs_of(inner, noise, table, head.offset, (head.parameters,))

    scores = score(graph, traced, linears, words, layout, HeadPerturbation(epsilon, noise_of_head))
    # The name of an output, what it is of both sides, and the shape of one.
    sided: dict[str, tuple[ir.Value, list[int | str]]] = {"loss": (scores.losses, ["batch"])}
    if words:
        sided[SCORES] = (scores.more[SCORES][0], ["batch", len(words)])
    emit = Emitter(graph)
    outputs: dict[str, Described] = {}
    for name, (value, shape) in sided.items():
        plus, minus = emit.op_many("Split", value, outputs=2, axis=0, num_outputs=2)
        outputs[f"{name}_plus"] = (plus, ir.DataType.FLOAT, shape)
        outputs[f"{name}_minus"] = (minus, ir.DataType.FLOAT, shape)
    emit.append()
    set_outputs(graph, outputs)
    graph.name = "probe"
    return model

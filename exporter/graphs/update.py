"""The update graph: applies K recorded steps to the state, in order, without any weight.

Inputs   state [n] float32, seeds [K] int64 (0 to 2^32 - 1; ONNX Runtime's Java interface has no uint32),
         coefficients [K] float32
Output   state_out [n] float32, which may be bound to the memory of ``state``

With groups the state is [G, n], one a row, coefficients are [K, G], and the noise of a step is that of all groups.

Each step is ``state <- fl(state + c * z)`` with z = +-1 from the step's seed. c*z is exact, so a step rounds once and
the result has the same bits on every machine, with or without fused multiply-add.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import OPSET, Emitter, add_input, set_outputs
from seedtune.exporter.passes.noise import noise_halves, sign_table, signs_of
from seedtune.runtime.bundle.manifest import StateLayout


def build_update(layout: StateLayout, *, groups: bool = False) -> ir.Model:
    """The update graph for a state of ``layout.parameters`` (n) values; ``groups`` for any number of states."""
    return build_update_of(layout.parameters, groups=groups)


def build_update_of(n: int, *, groups: bool) -> ir.Model:
    """The same for a state of ``n`` values, a multiple of 32."""
    of_groups: list[int | str] = ["groups"] if groups else []
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="update")
    state = add_input(graph, "state", ir.DataType.FLOAT, [*of_groups, n])
    seeds = add_input(graph, "seeds", ir.DataType.INT64, ["steps"])
    coefficients = add_input(graph, "coefficients", ir.DataType.FLOAT, ["steps", *of_groups])
    outer = Emitter(graph)
    steps = outer.op("Size", seeds)
    always = outer.constant(np.array(True))
    noise = noise_halves(outer, outer.op("Cast", seeds, to=ir.DataType.UINT32), n)
    body = _step(graph, [*of_groups, n], noise, sign_table(outer), coefficients)
    result = outer.op("Loop", steps, always, state, body=body)
    outer.append()
    set_outputs(graph, {"state_out": (result, ir.DataType.FLOAT, [*of_groups, n])})
    return ir.Model(graph, ir_version=10)


def _step(
    outer: ir.Graph, shape: list[int | str], noise: ir.Value, table: ir.Value, coefficients: ir.Value
) -> ir.Graph:
    """The loop body: (step number, condition, state of ``shape``) -> (condition, state + c*z)."""
    *groups, n = shape
    assert isinstance(n, int)
    body = ir.Graph([], [], nodes=[], name="step")
    number = add_input(body, "number", ir.DataType.INT64, [])
    go_on = add_input(body, "go_on", ir.DataType.BOOL, [])
    before = add_input(body, "before", ir.DataType.FLOAT, shape)
    # Constants go to the outer graph, where they are made once; the nodes go into the body.
    emit = Emitter(outer)
    coefficient = emit.op("Gather", coefficients, number, axis=0)
    signs = signs_of(emit, emit.op("Gather", noise, number, axis=0), table, 0, (n,))
    if groups:
        coefficient = emit.op("Unsqueeze", coefficient, emit.integers(-1))
    change = emit.op("Mul", signs, coefficient)
    after = emit.op("Add", before, change)
    go_on_out = emit.op("Identity", go_on)
    body.extend(list(emit.tape.nodes))
    set_outputs(body, {"go_on_out": (go_on_out, ir.DataType.BOOL, []), "after": (after, ir.DataType.FLOAT, shape)})
    return body

"""Last step of every graph: unused nodes out, stale shapes out, unique names, parameters bound to the weights file."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
from onnx_ir.passes import common

from seedtune.exporter.passes.emitter import static_shape
from seedtune.runtime.errors import SeedTuneError


def finish(model: ir.Model) -> ir.Model:
    """Cleans ``model`` in place and returns it.

    Shapes of inner values are dropped because the passes changed row counts: ONNX Runtime plans buffers by them and
    would re-use memory of the wrong size.
    """
    graph = model.graph
    common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    kept = {id(value) for value in (*graph.inputs, *graph.outputs)}
    for node in graph:
        for output in node.outputs:
            if id(output) not in kept:
                output.shape = None
                output.type = None
    common.NameFixPass()(model)
    model.producer_name = "seedtune"
    model.producer_version = ""
    model.doc_string = ""
    return model


def used_parameters(model: ir.Model) -> dict[str, tuple[ir.DataType, tuple[int, ...]]]:
    """Name -> (dtype, shape) of every initializer that waits for the weights file."""
    needed: dict[str, tuple[ir.DataType, tuple[int, ...]]] = {}
    for name, value in model.graph.initializers.items():
        if value.const_value is None:
            assert value.dtype is not None
            needed[name] = (value.dtype, static_shape(value))
    return needed


def bind(model: ir.Model, tensors: Mapping[str, ir.ExternalTensor]) -> None:
    """Points every parameter of ``model`` at its place in the weights file.

    Raises:
        SeedTuneError: a parameter is not in the weights file.
    """
    for name, value in model.graph.initializers.items():
        if value.const_value is None:
            if name not in tensors:
                raise SeedTuneError(
                    "the graph reads a parameter that the checkpoint does not have",
                    value=name,
                    remedy="the checkpoint and its configuration do not belong together",
                )
            value.const_value = tensors[name]

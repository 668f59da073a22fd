"""From the finished graphs of a bundle to stage graphs and their plan."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import onnx_ir as ir

from seedtune.exporter.stages.assign import assign
from seedtune.exporter.stages.both_ways import part_ways
from seedtune.exporter.stages.cut import cut
from seedtune.exporter.stages.layers import split_layers
from seedtune.exporter.stages.memory import batches_to_infer, measure
from seedtune.exporter.stages.reads import roles
from seedtune.exporter.stages.together import sizes_alone, sizes_first, together
from seedtune.exporter.stages.twins import merge
from seedtune.exporter.stages.types import infer
from seedtune.runtime.bundle.stage_plan import GRADIENT, GraphMemory, Role, Stage, StagePlan

# Borders are laid where little crosses for rows of this kind.
WEIGHED_BY = {"batch": 4, "tokens": 64, "context": 64}


def build_stages(graphs: Mapping[str, ir.Model], max_positions: int) -> tuple[StagePlan, dict[str, ir.Model]]:
    """The plan, and file -> stage graph.

    Args:
        graphs: name -> finished graph, which is not changed. Those without parameters are left out.
        max_positions: tokens that a row may have.

    Raises:
        SeedTuneError: ONNX Runtime cannot run a graph.
    """
    weighed_by = {name: min(size, max_positions) for name, size in WEIGHED_BY.items()}
    plans: dict[str, tuple[Stage, ...]] = {}
    files: dict[str, ir.Model] = {}
    merged: dict[str, Role] = {}
    memory: dict[str, GraphMemory] = {}
    packed: set[str] = set()
    for name, original in graphs.items():
        model = original.clone()
        graph = model.graph
        found = roles(graph)
        if not found:
            continue
        back = part_ways(graph, found)
        found |= {other: found[parameter] for other, parameter in back.items()}
        layers = split_layers(graph)
        sizes = [weighed_by, *batches_to_infer(model, max_positions)]
        types, *others = infer(model, sizes)
        stages = assign(graph, found, {value: kind.size_bytes for value, kind in types.items()})
        at_once: dict[int, frozenset[str]] = {}
        if layers and name != GRADIENT:
            sampled = list(zip(sizes, (types, *others), strict=True))
            alone = sizes_alone(graph, layers, sampled)
            sizes_first(graph, stages, alone, sampled)
            at_once = together(graph, stages, found, layers, alone, sampled)
        memory[name] = measure(model, stages, others, max_positions)
        stages_of_graph, models = merge(cut(graph, stages, types), layers, name, graph.opset_imports)
        plans[name] = tuple(
            msgspec.structs.replace(_of_file(stage, back), together=tuple(sorted(at_once.get(number, ()))))
            for number, stage in enumerate(stages_of_graph)
        )
        files |= models
        for parameter, role in ((name, role) for name, role in found.items() if name not in back):
            # A table in one graph stays one, even where another graph reads all of it.
            merged[parameter] = "mapped" if "mapped" in (role, merged.get(parameter)) else role
            if graph.initializers[parameter].dtype == ir.DataType.INT4:
                packed.add(parameter)
    return StagePlan(plans, merged, memory, tuple(sorted(packed))), files


def _of_file(stage: Stage, back: Mapping[str, str]) -> Stage:
    """``stage`` with the weights that it reads on the way back under the names that the weights file has."""
    return msgspec.structs.replace(stage, weights={key: back.get(name, name) for key, name in stage.weights.items()})

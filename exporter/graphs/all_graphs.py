"""The third stage of an export: every graph of a bundle, finished but for its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.graphs.context import build_context
from seedtune.exporter.graphs.decode import build_decode
from seedtune.exporter.graphs.evaluate import build_eval
from seedtune.exporter.graphs.gradient import build_gradient
from seedtune.exporter.graphs.probe import build_probe
from seedtune.exporter.graphs.scope import pair_shape
from seedtune.exporter.graphs.update import build_update
from seedtune.exporter.passes.finish import finish, used_parameters
from seedtune.exporter.passes.gradient.backward import NoRule
from seedtune.exporter.passes.own_label_rows import own_label_rows
from seedtune.exporter.passes.storage import Reader, store
from seedtune.exporter.stages.build import build_stages
from seedtune.exporter.storage.encodings import Encoding
from seedtune.exporter.trace.traced_model import TracedModel, head_parameters
from seedtune.runtime.bundle.host_files import CONTEXT
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.bundle.objective import DECODE
from seedtune.runtime.bundle.stage_plan import GRADIENT, UNSTAGED, StagePlan
from seedtune.runtime.errors import SeedTuneError

# Buffers up to this size stay inside the graph file; larger ones go to the weights file.
INLINE_BYTES = 4096
# These read what a phone with a cache of contexts may lack.
HOST_GRAPHS = {CONTEXT, DECODE}


@dataclass(frozen=True)
class Built:
    """The graphs of a bundle, finished but for their weights.

    Attributes:
        graphs: name -> graph.
        stage_graphs: file -> graph of a stage.
        plan: of the stages.
        encodings: parameter -> how it is stored.
        needed: parameter -> type and shape, of all that a graph reads.
        context_only: those of them that no graph but those of contexts and of decoding reads.
        buffers: constants that go to the weights file.
    """

    graphs: dict[str, ir.Model]
    stage_graphs: dict[str, ir.Model]
    plan: StagePlan
    encodings: dict[str, Encoding]
    needed: dict[str, tuple[ir.DataType, tuple[int, ...]]]
    context_only: frozenset[str]
    buffers: dict[str, np.ndarray]


def build_graphs(
    model: TracedModel,
    words: tuple[int, ...],
    storage: Storage,
    notice: Callable[[str], None] = lambda _text: None,
    context_on_host: bool = False,
) -> Built:
    """Builds every graph of the bundle.

    Args:
        model: as traced.
        words: the token ids of the label words, [L]; none for a completion task.
        storage: how matrices are stored.
        notice: told which operator is in the way where there can be no gradient graph.
        context_on_host: whether other graphs than that of contexts are to read no more than they must.

    Raises:
        SeedTuneError: the head is of a kind that cannot be cut to label words, or ONNX Runtime cannot run a graph.
    """
    traced, layout = model.traced, model.layout
    graphs = {"probe": build_probe(traced, layout, words), "eval": build_eval(traced, layout, words)}
    if traced.context is not None:
        graphs["context"] = build_context(traced)
        try:
            graphs[GRADIENT] = build_gradient(traced, layout, words)
        except NoRule as error:
            notice(f"no gradient graph: {error} between the state and the loss cannot be differentiated")
    if model.decoder is not None:
        try:
            graphs[DECODE] = build_decode(model.decoder, layout, storage)
        except SeedTuneError as error:
            notice(f"no decode graph, so this bundle generates no text: {error.what}")
    buffers = lift_large_buffers(graphs)
    # Every A stays float32: it is small, and what a state means must not depend on the storage.
    # Buffers stay as they are too: a rotary table is no weight.
    keep = {target.lora_a for target in layout.targets} | buffers.keys()
    pairs = {"probe": pair_shape(graphs["probe"].graph, traced)}
    # Behind a context a row is one token or a few.
    readers = [
        Reader(
            graph.graph,
            pairs.get(name),
            few_rows=name == DECODE or (traced.context is not None and name != CONTEXT),
            decides=name not in (GRADIENT, DECODE),
        )
        for name, graph in graphs.items()
    ]
    encodings = store(readers, storage, keep, head_parameters(model.skeleton))
    if context_on_host and words:
        for name, graph in graphs.items():
            if name not in HOST_GRAPHS:
                encodings |= own_label_rows(graph.graph, words, encodings)
    graphs["update"] = build_update(layout)
    read = {name: used_parameters(finish(graph)) for name, graph in graphs.items()}
    needed = {name: kind for of_graph in read.values() for name, kind in of_graph.items()}
    elsewhere = {name for graph, of_graph in read.items() if graph not in HOST_GRAPHS for name in of_graph}
    try:
        staged = {name: graph for name, graph in graphs.items() if name not in UNSTAGED}
        plan, stage_graphs = build_stages(staged, model.facts.max_positions)
    except SeedTuneError as error:
        raise error.at(model.facts.architecture) from error
    return Built(graphs, stage_graphs, plan, encodings, needed, frozenset(needed.keys() - elsewhere), buffers)


def lift_large_buffers(graphs: dict[str, ir.Model]) -> dict[str, np.ndarray]:
    """Takes the values of large constants out of the graphs, so that they go to the weights file once."""
    lifted: dict[str, np.ndarray] = {}
    for graph_name, model in graphs.items():
        for name, value in list(model.graph.initializers.items()):
            tensor = value.const_value
            if tensor is not None and tensor.nbytes > INLINE_BYTES and not name.startswith("constant_"):
                array = tensor.numpy()
                if name in lifted and not np.array_equal(lifted[name], array):
                    # Graphs of two traces may give one name to two constants.
                    del model.graph.initializers[name]
                    name = value.name = f"{graph_name}.{name}"
                    model.graph.initializers[name] = value
                lifted[name] = array
                value.const_value = None
    return lifted

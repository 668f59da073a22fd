"""The graphs of a scan, which stand before and behind a classifier that is left as it is.

    probe   image [B, P], state [B, n], seed [1], epsilon [1] (and pattern [B, P])
            -> input [2B, ...] for the classifier, correlation [2B], contrast [2B]: at state + epsilon z, then at
            state - epsilon z
    apply   image [B, P], state [B, n] (and pattern) -> pictures [B, P], input [B, ...], correlation [B], contrast [B]
    loss    scores [R, L], label [R], correlation [R], contrast [R] -> losses [R]
    update  as of a bundle, with a state a row

Images are float32 in 0..1 with channels first, whatever the classifier's own order. P values an image, n parameters
(`tone_map.py`), B images, L classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from seedtune.exporter.graphs.update import build_update_of
from seedtune.exporter.onnx_source.classifier import Classifier
from seedtune.exporter.onnx_source.pictures import Change, likeness
from seedtune.exporter.passes.emitter import OPSET, Emitter, add_input, set_outputs
from seedtune.exporter.passes.finish import finish
from seedtune.exporter.passes.noise import noise_halves, sign_table, signs_of

FLOAT, INT64 = ir.DataType.FLOAT, ir.DataType.INT64
# A shortfall of likeness weighs as much as so large a margin: enough that no step is worth leaving the picture.
WEIGHT_OF_LIKENESS = 20.0
NO_SCORE = -1e9


@dataclass(frozen=True)
class Normalisation:
    """``(x - mean) / deviation`` a channel, in the units of the classifier's input."""

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


@dataclass(frozen=True)
class Goal:
    """When an image counts as found.

    Attributes:
        correlation: c, with the original image, at least.
        contrast: of the original's standard deviation that is left, at least.
        margin: kappa, by which another class must lead.
        probabilities: the scores are such, and are told apart by their logarithms.
    """

    correlation: float
    contrast: float
    margin: float
    probabilities: bool


def write_map_graphs(folder: Path, classifier: Classifier, change: Change, normalisation: Normalisation) -> None:
    """Writes probe.onnx, apply.onnx and update.onnx into ``folder``, which is there."""
    graphs = {
        "probe": _probe(classifier, change, normalisation),
        "apply": _apply(classifier, change, normalisation),
        "update": build_update_of(change.parameters, groups=True),
    }
    for name, model in graphs.items():
        ir.save(finish(model), folder / f"{name}.onnx")


def write_loss_graph(folder: Path, goal: Goal) -> None:
    """Writes loss.onnx into ``folder``, which is there."""
    ir.save(finish(_loss(goal)), folder / "loss.onnx")


def _probe(classifier: Classifier, change: Change, normalisation: Normalisation) -> ir.Model:
    graph, image, state, pattern = _begun("probe", change)
    seed = add_input(graph, "seed", INT64, [1])
    epsilon = add_input(graph, "epsilon", FLOAT, [1])
    emit = Emitter(graph)
    halves = noise_halves(emit, emit.op("Cast", seed, to=ir.DataType.UINT32), change.parameters)
    noise = signs_of(emit, emit.op("Squeeze", halves, emit.integers(0)), sign_table(emit), 0, (change.parameters,))
    away = emit.op("Mul", noise, epsilon)
    states = emit.op("Concat", emit.op("Add", state, away), emit.op("Sub", state, away), axis=0)
    images = emit.op("Concat", image, image, axis=0)
    patterns = None if pattern is None else emit.op("Concat", pattern, pattern, axis=0)
    found = change.changed(emit, images, states, patterns)
    return _ended(graph, emit, classifier, normalisation, images, found, pictures=False)


def _apply(classifier: Classifier, change: Change, normalisation: Normalisation) -> ir.Model:
    graph, image, state, pattern = _begun("apply", change)
    emit = Emitter(graph)
    found = change.changed(emit, image, state, pattern)
    return _ended(graph, emit, classifier, normalisation, image, found, pictures=True)


def _begun(name: str, change: Change) -> tuple[ir.Graph, ir.Value, ir.Value, ir.Value | None]:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name=name)
    image = add_input(graph, "image", FLOAT, ["images", change.pixels])
    state = add_input(graph, "state", FLOAT, ["images", change.parameters])
    pattern = add_input(graph, "pattern", INT64, ["images", change.pixels]) if change.patterns else None
    return graph, image, state, pattern


def _ended(
    graph: ir.Graph,
    emit: Emitter,
    classifier: Classifier,
    normalisation: Normalisation,
    images: ir.Value,
    found: ir.Value,
    *,
    pictures: bool,
) -> ir.Model:
    correlation, contrast = likeness(emit, images, found)
    kind = FLOAT if classifier.kind == "float32" else ir.DataType.UINT8
    outputs: dict[str, tuple[ir.Value, ir.DataType, list[int | str]]] = {
        "input": (_input(emit, classifier, normalisation, found), kind, ["rows", *classifier.shape]),
        "correlation": (correlation, FLOAT, ["rows"]),
        "contrast": (contrast, FLOAT, ["rows"]),
    }
    if pictures:
        outputs["pictures"] = (found, FLOAT, ["rows", classifier.pixels])
    emit.append()
    set_outputs(graph, outputs)
    return ir.Model(graph, ir_version=10)


def _input(emit: Emitter, classifier: Classifier, normalisation: Normalisation, pictures: ir.Value) -> ir.Value:
    """What the classifier takes, of pictures [R, P]."""
    channels, height, width = classifier.channels, classifier.height, classifier.width
    found = emit.op("Reshape", pictures, emit.integers(-1, channels, height, width))
    if classifier.bytes_range:
        found = emit.op("Round", emit.op("Mul", found, emit.constant(np.array(255, np.float32))))
    for operator, values in (("Sub", normalisation.mean), ("Div", normalisation.deviation)):
        if values:
            array = np.broadcast_to(np.asarray(values, np.float32), (channels,)).reshape(1, channels, 1, 1)
            found = emit.op(operator, found, emit.constant(np.ascontiguousarray(array)))
    if classifier.order == "channels last":
        found = emit.op("Transpose", found, perm=[0, 2, 3, 1])
    if classifier.order == "flat":
        found = emit.op("Reshape", found, emit.integers(-1, classifier.pixels))
    return emit.op("Cast", found, to=ir.DataType.UINT8) if classifier.kind == "uint8" else found


def _loss(goal: Goal) -> ir.Model:
    """``relu(margin + kappa) + w (relu(c - correlation) + relu(c' - contrast))``: 0 where an image is found."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="loss")
    scores = add_input(graph, "scores", FLOAT, ["rows", "classes"])
    label = add_input(graph, "label", INT64, ["rows"])
    correlation = add_input(graph, "correlation", FLOAT, ["rows"])
    contrast = add_input(graph, "contrast", FLOAT, ["rows"])
    emit = Emitter(graph)

    def number(value: float) -> ir.Value:
        return emit.constant(np.array(value, np.float32))

    if goal.probabilities:
        scores = emit.op("Log", emit.op("Max", scores, number(1e-12)))
    place = emit.op("Unsqueeze", label, emit.integers(1))
    own = emit.op("Squeeze", emit.op("GatherElements", scores, place, axis=1), emit.integers(1))
    classes = emit.op("Shape", scores, start=1, end=2)
    only_own = emit.op("OneHot", label, classes, emit.constant(np.array([0, NO_SCORE], np.float32)), axis=-1)
    others = emit.op("ReduceMax", emit.op("Add", scores, only_own), emit.integers(1), keepdims=0)
    margin = emit.op("Relu", emit.op("Add", emit.op("Sub", own, others), number(goal.margin)))
    unlike = emit.op("Relu", emit.op("Sub", number(goal.correlation), correlation))
    pale = emit.op("Relu", emit.op("Sub", number(goal.contrast), contrast))
    apart = emit.op("Mul", emit.op("Add", unlike, pale), number(WEIGHT_OF_LIKENESS))
    losses = emit.op("Add", margin, apart)
    emit.append()
    set_outputs(graph, {"losses": (losses, FLOAT, ["rows"])})
    return ir.Model(graph, ir_version=10)

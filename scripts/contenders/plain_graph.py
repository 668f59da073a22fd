"""python -m contenders.plain_graph SOURCE FOLDER --bundle BUNDLE --rows ROWS.npz: graphs of the model as traced.

Writes into FOLDER:
 - plain.onnx: the traced model in the bundle's layout (2-D Gemm, label rows only), nothing else changed;
 - trainable.onnx: the same with a LoRA term on each target of BUNDLE, for rows of the size of ROWS;
 - linears.json: name, in_features and out_features of every linear that reads all token rows;
 - weights.safetensors: a hard link to BUNDLE's where that holds float32, so that both share their cached pages; else
   written anew from SOURCE.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from seedtune.exporter.checkpoint import Checkpoint, open_checkpoint
from seedtune.exporter.passes.emitter import Emitter, set_outputs
from seedtune.exporter.passes.finish import bind, finish, used_parameters
from seedtune.exporter.passes.label_rows import keep_label_rows
from seedtune.exporter.passes.linear_layout import Linear, normalise_linears
from seedtune.exporter.storage.weights import WeightsFile, write_weights
from seedtune.exporter.trace.trunk import head_of, trace
from seedtune.runtime.bundle.objective import WEIGHTS
from seedtune.runtime.bundle.reader import Bundle

LORA_SEED = 0
Needed = dict[str, tuple[ir.DataType, tuple[int, ...]]]


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    bundle = Bundle.open(options.bundle, verify_weights=False)
    rows = np.load(options.rows)
    checkpoint = open_checkpoint(options.source)
    skeleton = checkpoint.skeleton()
    traced = trace(skeleton, checkpoint.family)
    head = head_of(skeleton)
    head_name = next(name for name, module in skeleton.named_children() if module is head)

    plain, trainable = traced, traced.clone()
    linears = _scores_only(plain, rows["words"].tolist())
    # What belongs to the head reads one row an example. A vocabulary projection may bear the embedding's name.
    vocabulary_size = bundle.manifest.language_model.model.vocabulary_size
    described = [
        {"name": linear.name, "in_features": linear.in_features, "out_features": linear.out_features}
        for linear in linears
        if linear.name.split(".")[0] != head_name and linear.out_features != vocabulary_size
    ]
    (options.folder / "linears.json").write_text(json.dumps(described))
    needed = used_parameters(finish(plain))
    tensors = _weights(options.folder, bundle, needed, checkpoint)
    _save(plain, tensors, options.folder / "plain.onnx")

    linears = _scores_only(trainable, rows["words"].tolist())
    _add_lora(trainable.graph, linears, bundle)
    for value in trainable.graph.inputs:
        value.shape = ir.Shape(rows[str(value.name)].shape)
    trainable.graph.outputs[0].shape = ir.Shape([len(rows["ids"]), len(rows["words"])])
    finish(trainable)
    _save(trainable, tensors, options.folder / "trainable.onnx")


def _scores_only(model: ir.Model, words: Sequence[int]) -> list[Linear]:
    """Brings ``model`` to the bundle's layout with the scores of the label words as its only output."""
    linears = normalise_linears(model.graph)
    scores = keep_label_rows(model.graph, linears, words)
    set_outputs(model.graph, {"scores": (scores, ir.DataType.FLOAT, ["batch", len(words)])})
    return linears


def _add_lora(graph: ir.Graph, linears: Sequence[Linear], bundle: Bundle) -> None:
    """``y = W x + B A x`` on every target, A and B initializers with values, named "lora.<target>.A" and ".B"."""
    generator = np.random.default_rng(LORA_SEED)
    by_name = {linear.name: linear for linear in linears}
    for target in bundle.manifest.state.targets:
        linear = by_name[target.name]
        node = linear.output.producer()
        assert node is not None
        scale = target.in_features**-0.5
        a = scale * generator.standard_normal((target.rank, target.in_features))
        b = np.zeros((target.out_features, target.rank))
        emit = Emitter(graph)
        low = emit.op("Gemm", linear.rows, _initializer(graph, f"lora.{target.name}.A", a), transB=1)
        readers = list(linear.output.uses())
        total = emit.op("Gemm", low, _initializer(graph, f"lora.{target.name}.B", b), linear.output, transB=1)
        for reader in readers:
            reader.node.replace_input_with(reader.idx, total)
        graph.insert_after(node, list(emit.tape.nodes))


def _initializer(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    tensor = ir.tensor(array.astype(np.float32), name=name)
    value = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(array.shape), const_value=tensor)
    graph.register_initializer(value)
    return value


def _weights(folder: Path, bundle: Bundle, needed: Needed, checkpoint: Checkpoint) -> dict[str, ir.ExternalTensor]:
    """Every needed tensor, in the bundle's own weights file if it is as the checkpoint has it, else in a new one."""
    path = folder / WEIGHTS
    path.unlink(missing_ok=True)
    placed = _placed(bundle.path / WEIGHTS)
    fits = all(
        dtype == ir.DataType.FLOAT and placed.get(name, ("", (), 0))[:2] == ("F32", shape)
        for name, (dtype, shape) in needed.items()
    )
    if not fits or not _same_filesystem(bundle.path, folder):
        weights = WeightsFile(path, needed)
        write_weights([weights], checkpoint.tensors())
        return weights.external_tensors()
    # Not a symbolic link: ONNX Runtime takes no external data from outside a graph's folder.
    os.link(bundle.path / WEIGHTS, path)
    return {
        name: ir.ExternalTensor(
            WEIGHTS,
            placed[name][2],
            4 * int(np.prod(shape)),
            dtype,
            shape=ir.Shape(shape),
            name=name,
            base_dir=folder,
        )
        for name, (dtype, shape) in needed.items()
    }


def _same_filesystem(first: Path, second: Path) -> bool:
    """Whether a file of one folder can have a hard link in the other."""
    return first.stat().st_dev == second.stat().st_dev


def _placed(path: Path) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Name -> type, shape and offset in the file of every tensor of a safetensors file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: (entry["dtype"], tuple(entry["shape"]), 8 + size + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _save(model: ir.Model, tensors: dict[str, ir.ExternalTensor], path: Path) -> None:
    bind(model, tensors)
    ir.save(model, path)


if __name__ == "__main__":
    main()

"""python -m contenders.training_artifacts FOLDER: gradient and optimizer graphs of FOLDER/trainable.onnx.

Runs in the environment of onnxruntime-training (`training_environment.py`). The frozen weights stay where they are, in
the weights file beside the graph: the tools read a model as one protocol buffer, which cannot hold more than 2 GB.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import onnx

from contenders.training_import import import_training

import_training()
from onnxruntime.training import artifacts, onnxblock  # noqa: E402 - not importable before


def main() -> None:
    """Writes training_model.onnx, eval_model.onnx, optimizer_model.onnx and checkpoint into the folder."""
    # The gradient builder is handed bytes, so it looks for external data in the working directory.
    os.chdir(Path(sys.argv[1]))
    model = onnx.load("trainable.onnx", load_external_data=False)
    _name_statistics(model.graph)
    # Everything else stays a frozen initializer of the graph.
    trained = [tensor.name for tensor in model.graph.initializer if tensor.name.startswith("lora.")]
    artifacts.generate_artifacts(
        model,
        requires_grad=trained,
        loss=onnxblock.loss.CrossEntropyLoss(),
        optimizer=artifacts.OptimType.AdamW,
        artifact_directory=".",
    )


def _name_statistics(graph: onnx.GraphProto) -> None:
    """Gives every LayerNormalization its optional outputs, mean and inverse deviation, which its gradient reads."""
    for index, node in enumerate(graph.node):
        if node.op_type == "LayerNormalization":
            node.output.extend(f"layer_statistics_{index}_{place}" for place in range(len(node.output), 3))


if __name__ == "__main__":
    main()

"""Classifiers of scikit-learn's digits as ONNX files, trained here in a second, and their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

SIZE = 8
TEST_FROM = 1200


def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """1,797 pictures [N, 8, 8] in bytes and what they show."""
    images, labels = load_digits(return_X_y=True)
    return np.round(images.reshape(-1, SIZE, SIZE) * (255 / 16)).astype(np.uint8), labels.astype(np.int64)


def layers_of(kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights [in, out] and biases of a linear model or of a net with one hidden layer, over values in 0..1."""
    images, labels = digits()
    rows = images[:TEST_FROM].reshape(TEST_FROM, -1) / 255
    # Matrices this small are only slowed down by threads that wait for each other.
    with threadpool_limits(1):
        return _fitted(kind, rows, labels[:TEST_FROM])


def _fitted(kind: str, rows: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> list[tuple[np.ndarray, np.ndarray]]:
    if kind == "linear":
        model = LogisticRegression(max_iter=2000).fit(rows, labels)
        return [(model.coef_.T, model.intercept_)]
    net = MLPClassifier((48,), max_iter=400, random_state=0).fit(rows, labels)
    return list(zip(net.coefs_, net.intercepts_, strict=True))


def write_classifier(
    path: Path,
    layers: list[tuple[np.ndarray, np.ndarray]],
    *,
    shape: tuple[int | str, ...] = (1, SIZE, SIZE),
    kind: str = "float32",
    probabilities: bool = False,
    images: int | str = "images",
    opset: int = 17,
) -> Path:
    """Writes those layers, with ReLU between them, as a classifier of images [images, *shape]."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": opset}, name="classifier")
    dtype = ir.DataType.FLOAT if kind == "float32" else ir.DataType.UINT8
    image = ir.Value(name="pixels", type=ir.TensorType(dtype), shape=ir.Shape([images, *shape]))
    graph.inputs.append(image)
    tape = ir.tape.Tape(graph)

    def constant(name: str, array: np.ndarray) -> ir.Value:
        return tape.initializer(ir.tensor(array, name=name))

    x: ir.Value = image
    if kind == "uint8":
        x = tape.op("Cast", [x], attributes={"to": ir.DataType.FLOAT})
        x = tape.op("Div", [x, constant("bytes", np.array(255, np.float32))])
    x = tape.op("Reshape", [x, constant("rows", np.array([-1, SIZE * SIZE], np.int64))])
    for number, (weights, bias) in enumerate(layers):
        if number:
            x = tape.op("Relu", [x])
        arrays = [array.astype(np.float32) for array in (weights, bias)]
        x = tape.op(
            "Gemm", [x, *(constant(f"{name}{number}", array) for name, array in zip("wb", arrays, strict=True))]
        )
    if probabilities:
        x = tape.op("Softmax", [x], attributes={"axis": -1})
    x.name, x.type, x.shape = "scores", ir.TensorType(ir.DataType.FLOAT), ir.Shape([images, 10])
    graph.outputs.append(x)
    ir.save(ir.Model(graph, ir_version=9), path)
    return path


def scores_by_hand(layers: list[tuple[np.ndarray, np.ndarray]], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same in numpy, of values [N, 64] in 0..1."""
    for number, (weights, bias) in enumerate(layers):
        if number:
            values = np.maximum(values, 0)
        values = values @ weights + bias
    return values


def spt_by_hand(values: npt.NDArray[Any], knots: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One picture [P] through the curve of ``knots`` [K], as numpy interpolates, in whole 255ths."""
    curve = np.linspace(0, 1, len(knots)) + knots
    found = np.interp(values, np.linspace(0, 1, len(knots)), curve)
    return np.clip(np.round(found * 255), 0, 255) / 255

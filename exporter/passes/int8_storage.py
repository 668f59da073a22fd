"""int8 storage and arithmetic: 8-bit products of a layer's input and its weights, summed in 32-bit integers.

Per token row x and output channel n, with the weights' codes q and scales s (`encodings.py`)::

    r = max|x| / 127      x ~ r (h + l / 254)      y_n = r s_n (sum_k h_k q_kn + sum_k l_k q_kn / 254) + bias_n

An input has two digits, h and l, of 8 bits each. With one, rows with large activations lose so much that SmolLM2's
log-probabilities move by 0.13 on average (docs/log/2026-11-23.md, "int8").
The scale is the row's own, so one row with a large
activation costs the others nothing. Digits are stored as uint8 around 128: ONNX Runtime's fast kernels multiply uint8
by int8. Linears that read the same rows share them (common subexpressions are merged by `finish.py`). Tables that are
looked up are widened after their Gather.

Rounding the sides of a perturbation each for itself would drown their difference. So a graph of both sides rounds the
middle m of a pair of rows and their half distance d, each with its own scale, and takes W (m +- d) = W m +- W d. The
error of W m is the same for both sides, that of W d is small against W d even with one digit.

A kernel lays a matrix out anew for every product, which takes longer than the product where rows are few. Then all
digits of a linear are laid below each other and multiplied at once; of many rows that would only take memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.backward_int8 import is_backward, multiply_back_int8
from seedtune.exporter.passes.emitter import Emitter, parameter, static_shape
from seedtune.exporter.storage.encodings import INT8_MAXIMUM, SCALE, Encoding

CONTRIBUTED = "com.microsoft"
# A row of zeros has no scale of its own.
SMALLEST_ROW_SCALE = 1e-30
# The code of 0 in an input's digits, which are 1 to 255.
ZERO_CODE = 128
# What rounding leaves is at most half a step, and the next digit reaches 127 steps to either side.
DIGIT_BASE = 254
# Digits of an input, and of half the distance between both sides. See the module docstring.
DIGITS, DISTANCE_DIGITS = 2, 1


def read_int8(
    graph: ir.Graph, value: ir.Value, encoding: Encoding, pairs: ir.Value | None = None, few_rows: bool = False
) -> None:
    """Turns the float32 matrix ``value`` of ``graph`` into int8 codes and their scales.

    Args:
        graph: changed in place; imports the domain of ONNX Runtime's contributed operators afterwards.
        value: read by Gemm as its second input, or by Gather along its first axis.
        encoding: of kind "int8", which says how a layer reads the matrix; a backward product reads it the other way.
        pairs: for a graph of both sides, [3] int64: [a, 2, b] into which the rows of every linear can be reshaped so
            that the second axis tells the sides apart.
        few_rows: whether all digits of a linear's input are to be multiplied at once.
    """
    shape = static_shape(value)
    assert len(shape) == 2
    parts = encoding.parts((shape[0], shape[1]))
    stored_type, stored_shape = parts[""]
    scale_type, scale_shape = parts[SCALE]
    assert value.name is not None
    scales = parameter(graph, value.name + SCALE, scale_type, scale_shape)
    value.type, value.shape = ir.TensorType(stored_type), ir.Shape(stored_shape)
    for use in list(value.uses()):
        if use.node.op_type == "Gather":
            _widen_after(graph, use.node, scales)
        elif is_backward(use.node, encoding):
            multiply_back_int8(graph, use.node, value, scales)
        else:
            _multiply(graph, use.node, _Matrix(value, scales, few_rows), pairs)
    graph.opset_imports[CONTRIBUTED] = 1


def _widen_after(graph: ir.Graph, gather: ir.Node, scales: ir.Value) -> None:
    output, indices = gather.outputs[0], gather.inputs[1]
    readers = list(output.uses())
    emit = Emitter(graph)
    scale = emit.op("Unsqueeze", emit.op("Gather", scales, indices, axis=0), emit.integers(-1))
    wide = emit.op("Mul", emit.op("Cast", output, to=ir.DataType.FLOAT), scale)
    output.type = ir.TensorType(ir.DataType.INT8)
    wide.type, wide.shape = ir.TensorType(ir.DataType.FLOAT), output.shape
    for reader in readers:
        reader.node.replace_input_with(reader.idx, wide)
    graph.insert_after(gather, list(emit.tape.nodes))


@dataclass(frozen=True)
class _Matrix:
    """What the rows are multiplied with, and whether all their digits at once."""

    codes: ir.Value
    scales: ir.Value
    at_once: bool


@dataclass(frozen=True)
class _Rounded:
    """Rows as digits: ``factor scale sum_k digits[k] / DIGIT_BASE^k``, with one ``scale`` a row, [N]."""

    digits: list[ir.Value]
    scale: ir.Value
    factor: float

    def units(self) -> list[float]:
        """What each digit counts, but for the scale of its row."""
        return [self.factor / DIGIT_BASE**digit for digit in range(len(self.digits))]


def _multiply(graph: ir.Graph, gemm: ir.Node, matrix: _Matrix, pairs: ir.Value | None) -> None:
    x, bias = gemm.inputs[0], gemm.inputs[2] if len(gemm.inputs) > 2 else None
    assert x is not None
    emit = Emitter(graph)
    if pairs is None:
        (result,) = _products(emit, [_rounded(emit, x, DIGITS)], matrix)
        if bias is not None:
            result = emit.op("Add", result, bias)
    else:
        result = _paired(emit, x, matrix, bias, pairs)
    output = gemm.outputs[0]
    result.type, result.shape = output.type, output.shape
    emit.insert_before(gemm)
    if output.is_graph_output():
        result.name, output.name = output.name, None
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    graph.remove(gemm, safe=True)


def _paired(emit: Emitter, x: ir.Value, matrix: _Matrix, bias: ir.Value | None, pairs: ir.Value) -> ir.Value:
    """W (m + d) and W (m - d) as W m + W d and W m - W d, in the order of ``x`` [N, i]; [N, o]."""
    width, channels = static_shape(matrix.codes)
    sides = emit.op("Reshape", x, emit.op("Concat", pairs, emit.integers(width), axis=0))
    plus, minus = emit.op_many("Split", sides, outputs=2, axis=1, num_outputs=2)
    flat = emit.integers(-1, width)
    total = emit.op("Reshape", emit.op("Add", plus, minus), flat)
    difference = emit.op("Reshape", emit.op("Sub", plus, minus), flat)
    rounded = [_rounded(emit, total, DIGITS, 0.5), _rounded(emit, difference, DISTANCE_DIGITS, 0.5)]
    middle, distance = _products(emit, rounded, matrix)
    if bias is not None:
        middle = emit.op("Add", middle, bias)
    # [a, 2, b] without its 2: where the rows of one side lie.
    side = emit.op("Concat", emit.op("Mul", pairs, emit.integers(1, 0, 1)), emit.integers(channels), axis=0)
    side = emit.op("Add", side, emit.integers(0, 1, 0, 0))
    both = [emit.op("Reshape", emit.op(kind, middle, distance), side) for kind in ("Add", "Sub")]
    return emit.op("Reshape", emit.op("Concat", *both, axis=1), emit.integers(-1, channels))


def _rounded(emit: Emitter, x: ir.Value, digits: int, factor: float = 1.0) -> _Rounded:
    """``factor x`` for rows ``x`` [N, i], each rounded to so many digits, [N, i] uint8."""
    axis = emit.integers(1)
    largest = emit.op("ReduceMax", x, axis, keepdims=0)
    smallest = emit.op("ReduceMin", x, axis, keepdims=0)
    extent = emit.op("Max", largest, emit.op("Neg", smallest))
    row_scale = emit.op("Mul", extent, emit.constant(np.array(1 / INT8_MAXIMUM, np.float32)))
    row_scale = emit.op("Max", row_scale, emit.constant(np.array(SMALLEST_ROW_SCALE, np.float32)))
    zeros = emit.op("Expand", _zero_code(emit), emit.op("Shape", row_scale))
    rest, scale, found = x, row_scale, []
    for digit in range(digits):
        rounded = emit.op("QuantizeLinear", rest, scale, zeros, axis=0)
        found.append(rounded)
        if digit + 1 < digits:
            rest = emit.op("Sub", rest, emit.op("DequantizeLinear", rounded, scale, zeros, axis=0))
            scale = emit.op("Mul", scale, emit.constant(np.array(1 / DIGIT_BASE, np.float32)))
    return _Rounded(found, row_scale, factor)


def _products(emit: Emitter, rows: Sequence[_Rounded], matrix: _Matrix) -> list[ir.Value]:
    """W x of each of ``rows``, [N, o]; all of them have the same N."""
    digits = [digit for one in rows for digit in one.digits]
    units = [unit for one in rows for unit in one.units()]
    if matrix.at_once:
        together = _product(emit, emit.op("Concat", *digits, axis=0), matrix, 1.0)
        split = emit.op_many("Split", together, outputs=len(digits), axis=0, num_outputs=len(digits))
        parts = [
            emit.op("Mul", part, emit.constant(np.array(unit, np.float32)))
            for part, unit in zip(split, units, strict=True)
        ]
    else:
        parts = [_product(emit, digit, matrix, unit) for digit, unit in zip(digits, units, strict=True)]
    found = []
    for one in rows:
        total, *others = parts[: len(one.digits)]
        parts = parts[len(one.digits) :]
        for part in others:
            total = emit.op("Add", total, part)
        found.append(emit.op("Mul", total, emit.op("Unsqueeze", one.scale, emit.integers(1))))
    return found


def _product(emit: Emitter, digits: ir.Value, matrix: _Matrix, unit: float) -> ir.Value:
    scale, zero = emit.constant(np.array(unit, np.float32)), _zero_code(emit)
    return emit.op("MatMulIntegerToFloat", digits, matrix.codes, scale, matrix.scales, zero, domain=CONTRIBUTED)


def _zero_code(emit: Emitter) -> ir.Value:
    return emit.constant(np.array(ZERO_CODE, np.uint8))

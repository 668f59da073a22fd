"""The +-1 noise of `seedtune.runtime.noise` in uint32 ONNX operators, bit for bit.

Hash words are cheap (one for 32 parameters); turning their bits into floats is not. So each half of a word indexes a
table of its sixteen signs: the words of n parameters become n/16 table rows, copied by one Gather. Signs are int8
until the end, a quarter of the memory traffic.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from seedtune.exporter.passes.emitter import Emitter
from seedtune.runtime.noise import BITS_PER_WORD, GOLDEN, MULTIPLIER_1, MULTIPLIER_2

SIGNS_PER_BYTE = 8
HALVES = 1 << 16


def sign_table(emit: Emitter) -> ir.Value:
    """The sixteen signs of every half word, least significant bit first, [65536, 16] int8 of +-1.

    Put together from the table of bytes, so that the graph's file stays small.
    """
    bits = (np.arange(256)[:, None] >> np.arange(SIGNS_PER_BYTE)) & 1
    of_bytes = emit.constant((bits * 2 - 1).astype(np.int8))
    half = emit.op("Range", *(emit.constant(np.array(value, np.int64)) for value in (0, HALVES, 1)))
    high = emit.op("Div", half, emit.integers(256))
    low = emit.op("Sub", half, emit.op("Mul", high, emit.integers(256)))
    return emit.op("Concat", *(emit.op("Gather", of_bytes, byte, axis=0) for byte in (low, high)), axis=1)


def noise_halves(emit: Emitter, seeds: ir.Value, parameters: int) -> ir.Value:
    """The half words, low one first, of the hash words of K seeds for n parameters, [K, n/32, 2] int32.

    Args:
        emit: takes the nodes.
        seeds: [K] uint32.
        parameters: n, a multiple of 32.
    """
    if parameters % BITS_PER_WORD:
        raise ValueError(f"parameters % {BITS_PER_WORD} != 0: {parameters}")
    index = emit.constant(np.arange(parameters // BITS_PER_WORD, dtype=np.uint32))
    key = emit.op("Unsqueeze", seeds, emit.integers(1))
    words = _mix(emit, emit.op("BitwiseXor", index, key))
    words = _mix(emit, emit.op("Add", words, emit.op("Mul", key, emit.unsigned(GOLDEN))))
    low = emit.op("BitwiseAnd", words, emit.unsigned(HALVES - 1))
    pair = [emit.op("Unsqueeze", half, emit.integers(2)) for half in (low, _right(emit, words, 16))]
    return emit.op("Cast", emit.op("Concat", *pair, axis=2), to=ir.DataType.INT32)


def signs_of(emit: Emitter, noise: ir.Value, table: ir.Value, offset: int, shape: tuple[int, ...]) -> ir.Value:
    """The signs of parameters offset..offset+prod(shape)-1, as float32 of ``shape``.

    Args:
        emit: takes the nodes.
        noise: the half words of one seed, [n/32, 2] int32.
        table: :func:`sign_table`.
        offset: the first parameter, a multiple of 32.
        shape: the shape of the parameters.
    """
    count = int(np.prod(shape))
    first, last = offset // BITS_PER_WORD, (offset + count + BITS_PER_WORD - 1) // BITS_PER_WORD
    part = emit.op("Slice", noise, emit.integers(first), emit.integers(last), emit.integers(0))
    flat = emit.op("Reshape", emit.op("Gather", table, part, axis=0), emit.integers(-1))
    if count % BITS_PER_WORD:
        flat = emit.op("Slice", flat, emit.integers(0), emit.integers(count), emit.integers(0))
    return emit.op("Cast", emit.op("Reshape", flat, emit.integers(*shape)), to=ir.DataType.FLOAT)


def _mix(emit: Emitter, x: ir.Value) -> ir.Value:
    x = emit.op("BitwiseXor", x, _right(emit, x, 16))
    x = emit.op("Mul", x, emit.unsigned(MULTIPLIER_1))
    x = emit.op("BitwiseXor", x, _right(emit, x, 15))
    x = emit.op("Mul", x, emit.unsigned(MULTIPLIER_2))
    return emit.op("BitwiseXor", x, _right(emit, x, 16))


def _right(emit: Emitter, x: ir.Value, bits: int) -> ir.Value:
    return emit.op("BitShift", x, emit.unsigned(bits), direction="RIGHT")
